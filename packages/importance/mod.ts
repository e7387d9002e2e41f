export * from "./calibration.ts";
export * from "./perplexity.ts";
export * from "./scorer.ts";
export * from "./weight_order.ts";
