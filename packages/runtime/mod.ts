export {
  ATTENTION_CHUNK,
  attentionChunks,
  attentionOpFor,
  slowerAttention,
} from "./attention_op.ts";
export { type BlockCapture, Decoder } from "./decoder.ts";
export { forwardFrom, sequenceLogits } from "./forward.ts";
export {
  generate,
  type GenerateOptions,
  sampleSequences,
  type SamplingOptions,
} from "./generate.ts";
export type { TokenLogProbs } from "./heads.ts";
export { type LatencyOptions, measureLatencies, type TimedSizes } from "./latency.ts";
export { activationBytes, sharedEngineBytes } from "./memory.ts";
export type { ExpertSums, RoutedOutput } from "./mixtures.ts";
export { KeptStates } from "./kept_states.ts";
export type { Predictions } from "./predictions.ts";
export { residentCopy, slowerOnDevices } from "./residence.ts";
export { ResidentDecoder, type ResidentDecoderOptions } from "./resident_decoder.ts";
export { type RopeTable, ropeTable } from "./rope.ts";
export { measureSpeed, type Speed, type SpeedOptions } from "./speed.ts";
export type { AttentionMask, HiddenStates, KeyValues } from "./hidden_states.ts";
export { streamedLogits } from "./streamed_logits.ts";
export { LaidOutWeights, type LoadOptions } from "./weight_layout.ts";
export { type WeightMemory, weightMemory } from "./weight_memory.ts";
export { type KeptBytes, Workspace } from "./workspace.ts";
