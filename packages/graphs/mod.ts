export { type AttentionOp, type FedAttention } from "./attention/fed_attention.ts";
export { type Heads, headsOf } from "./attention/heads.ts";
export { MASKED } from "./attention/plain_attention.ts";
export { blockGraph, blockGraphKey, type BlockGraphOptions } from "./block_graph.ts";
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
export * from "./node_models.ts";
export * from "./resident_decoder.ts";
export * from "./stored_linear.ts";
export { laidOutAxes } from "./weights/laid_out.ts";
export { residentRows, residentWeightName } from "./weights/resident.ts";
