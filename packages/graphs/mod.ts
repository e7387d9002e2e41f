export { type AttentionOp, type FedAttention } from "./attention/fed_attention.ts";
export { type Heads, headsOf } from "./attention/heads.ts";
export { MASKED } from "./attention/plain_attention.ts";
export { blockGraph, blockGraphKey, type BlockGraphOptions } from "./block_graph.ts";
export { cachedDecoder, type CachedDecoderOptions, type DecoderWeight } from "./cached_decoder.ts";
export {
  type Dimension,
  type ElementType,
  GraphBuilder,
  type StoredWeight,
} from "./graph_builder.ts";
export { gemm, type GemmOptions } from "./gemm.ts";
export { type FeedType, type GraphPiece, graphPieces, type WeightPlace } from "./graph_pieces.ts";
export {
  crossEntropyHead,
  embedding,
  type HeadOptions,
  logitsHead,
  logProbsHead,
  pickedHead,
  type PickedOptions,
  type SoftmaxOptions,
} from "./head.ts";
export type { InnerOutput } from "./layers.ts";
export { type NodeModel, nodeModels } from "./node_models.ts";
export {
  type ResidentAttentionOp,
  residentDecoder,
  type ResidentDecoderOptions,
} from "./resident_decoder.ts";
export type { MatrixForm, MatrixPart } from "./stored_linear.ts";
export { laidOutAxes } from "./weights/laid_out.ts";
export { residentRows, residentWeightName } from "./weights/resident.ts";
