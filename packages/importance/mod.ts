export {
  ACTIVATION_METRICS,
  type ActivationMetric,
  activationOrder,
  channelScores,
  type InnerEnergy,
  innerEnergy,
  orderLike,
  type UnitKind,
  unitWidth,
} from "./activation_order.ts";
export { batchNumbers, type BatchOptions, DEFAULT_BATCH_TOKENS } from "./batches.ts";
export { keptBytes } from "./block_inputs.ts";
export {
  beginning,
  type CalibrationSet,
  calibrationSet,
  calibrationSetIfEnough,
  cutIntoSequences,
  isEnoughAside,
  joined,
  keepAside,
  MAX_SET_BYTES,
  type Sequences,
  type SetText,
  tokenCount,
} from "./calibration.ts";
export { compensatedOrder, compensatedOrderBytes } from "./compensated_order.ts";
export {
  type DenseBatch,
  DensePredictions,
  divergedNll,
  PREDICTION_BYTES,
  tokenLoss,
} from "./dense_predictions.ts";
export { drawNumbers, shuffled } from "./draw.ts";
export {
  apportioned,
  drawMixed,
  type DrawnSamples,
  mixedAside,
  type SampleSource,
} from "./mixture.ts";
export { nextTokens, perplexity, sequenceMeans } from "./perplexity.ts";
export { chooseOrder, trialCut } from "./ranking_trial.ts";
export { ResidentScorer } from "./resident_scorer.ts";
export { concatenated, everySample, listOf, type SampleList } from "./sample_list.ts";
export type { Scorable, Score, Scorer, ScorerOptions } from "./scorer.ts";
export { SuffixScorer, type SuffixScorerOptions } from "./suffix_scorer.ts";
export { MAX_SAMPLE_BYTES, parseSamples, textSamples } from "./text_samples.ts";
export { weightOrder } from "./weight_order.ts";
