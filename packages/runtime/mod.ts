export * from "./decoder.ts";
export * from "./forward.ts";
export * from "./generate.ts";
export * from "./memory.ts";
export * from "./resident_decoder.ts";
export * from "./rope.ts";
export * from "./streamed_logits.ts";
export * from "./weight_layout.ts";
