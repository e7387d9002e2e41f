export type { AttentionOp, FedAttention } from "./attention/fed_options.ts";
export { MASKED } from "./attention/masks.ts";
export { operatorLacks, residentOperatorLacks } from "./attention/operator_lacks.ts";
export { blockGraph, blockGraphKey } from "./block_graph.ts";
export { blockInputGraph, inputNorms } from "./block_input_graph.ts";
export { cachedDecoder, type DecoderWeight, type RotaryAngles } from "./cached_decoder.ts";
export {
  expertGraph,
  residualGraph,
  residualWeights,
  routerGraph,
  routerWeights,
} from "./expert_graphs.ts";
export { gemm, type GemmOptions } from "./gemm.ts";
export { type ElementType, GraphBuilder, type StoredWeight } from "./graph_builder.ts";
export { type FeedType, type GraphPiece, graphPieces } from "./graph_pieces.ts";
export {
  crossEntropyHead,
  embedding,
  logitsHead,
  logProbsHead,
  tokenLogProbsHead,
} from "./head.ts";
export { type Independence, independenceOf } from "./independence.ts";
export type { Capture } from "./layers.ts";
export { nodeModels } from "./node_models.ts";
export { type ResidentAttentionOp, residentDecoder, residentRotaries } from "./resident_decoder.ts";
export type { MatrixForm, MatrixPart } from "./stored_linear.ts";
export { laidOutAxes } from "./weights/laid_out.ts";
export { residentRows, residentWeightName } from "./weights/resident.ts";
