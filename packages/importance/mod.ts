export * from "./activation_order.ts";
export { batchNumbers, type BatchOptions, DEFAULT_BATCH_TOKENS } from "./batches.ts";
export * from "./calibration.ts";
export * from "./compensated_order.ts";
export * from "./mixture.ts";
export * from "./perplexity.ts";
export * from "./resident_scorer.ts";
export * from "./scorer.ts";
export * from "./weight_order.ts";
