export * from "./attention_block.ts";
export * from "./cached_decoder.ts";
export {
  type Dimension,
  type ElementType,
  GraphBuilder,
  type StoredWeight,
} from "./graph_builder.ts";
export * from "./gemm.ts";
export * from "./graph_pieces.ts";
export * from "./head.ts";
export type { InnerOutput } from "./layers.ts";
export * from "./mlp_block.ts";
export * from "./node_models.ts";
export { MASKED } from "./plain_attention.ts";
export * from "./resident_decoder.ts";
export * from "./stored_linear.ts";
