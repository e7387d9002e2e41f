export { BatchLosses, type Judge, readBatch } from "./batch_losses.ts";
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
export { CRITERIA, CRITERION_NAMES, type CriterionName, criterionOf } from "./criteria/mod.ts";
export type {
  Criterion,
  PredictionCriterion,
  ReadBatch,
  TextCriterion,
} from "./criteria/criterion.ts";
export { type DenseBatch, PREDICTION_BYTES } from "./dense_predictions.ts";
export { drawNumbers, shuffled } from "./draw.ts";
export {
  apportioned,
  drawMixed,
  type DrawnSamples,
  mixedAside,
  type SampleSource,
} from "./mixture.ts";
export { nextTokens, perplexity, sequenceMeans } from "./perplexity.ts";
export { type InnerEnergy, innerEnergy, rankByActivations } from "./rank_by_activations.ts";
export { rankByMoments, rankByMomentsBytes } from "./rank_by_moments.ts";
export { rankByWeights } from "./rank_by_weights.ts";
export { type RankedUnits, rankLike, type UnitKind } from "./ranked_units.ts";
export { energy } from "./rankings/energy.ts";
export {
  ORDER_CHOICES,
  PUBLISHED_RANKING,
  RANKING_NAMES,
  type RankingName,
  RANKINGS,
  rankingsOf,
  ranks,
} from "./rankings/mod.ts";
export type {
  ActivationRule,
  InnerChannels,
  InnerMoments,
  MomentRule,
  RankingRule,
  WeightRule,
} from "./rankings/rule.ts";
export { chooseOrder, trialCut } from "./ranking_trial.ts";
export { ResidentScorer } from "./resident_scorer.ts";
export { concatenated, everySample, listOf, type SampleList } from "./sample_list.ts";
export type { Scorable, Score, Scorer, ScorerOptions } from "./scorer.ts";
export { SuffixScorer, type SuffixScorerOptions } from "./suffix_scorer.ts";
export { MAX_SAMPLE_BYTES, parseSamples, textSamples } from "./text_samples.ts";
