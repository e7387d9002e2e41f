export * from "./attention_windows.ts";
export * from "./compare_logits.ts";
export * from "./export.ts";
export * from "./safetensors_export.ts";
export * from "./verify.ts";
