export { BatchLosses, type Judge, readBatch } from "./batch_losses.ts";
export { batchNumbers, type BatchOptions, DEFAULT_BATCH_TOKENS, forwardCost } from "./batches.ts";
export { keptBytes } from "./block_inputs.ts";
export {
  beginning,
  type CalibrationSet,
  calibrationSet,
  calibrationSetIfEnough,
  isEnoughToValidate,
  joined,
  type Sequences,
  type SetText,
  splitOff,
  tokenCount,
} from "./calibration.ts";
export type { Criterion, TextCriterion } from "./criteria/criterion.ts";
export { CRITERIA, CRITERION_NAMES, type CriterionName, criterionOf } from "./criteria/mod.ts";
export { PREDICTION_BYTES } from "./dense_predictions.ts";
export { shuffled } from "./draw.ts";
export { addCaptured, addTokens, embeddedBatches } from "./hidden_states.ts";
export { apportioned, drawApart, drawMixed, mixedFurther, type SampleSource } from "./mixture.ts";
export { nextTokens, perplexity, sequenceMeans } from "./perplexity.ts";
export { rankByActivations } from "./rank_by_activations.ts";
export { rankByRouting } from "./rank_by_routing.ts";
export {
  type BatchActivations,
  batchActivations,
  type SeenActivations,
  seenActivations,
  summedActivations,
} from "./seen_activations.ts";
export { rankByMoments, rankByMomentsBytes } from "./rank_by_moments.ts";
export { rankByWeights } from "./rank_by_weights.ts";
export { type RankedUnits, rankLike, type UnitKind } from "./ranked_units.ts";
export { chooseRanking, trialCut } from "./ranking_trial.ts";
export { energy } from "./rankings/energy.ts";
export {
  PUBLISHED_RANKING,
  RANKING_CHOICES,
  RANKING_NAMES,
  type RankingName,
  RANKINGS,
  rankingsOf,
  ranks,
  usualRanking,
} from "./rankings/mod.ts";
export type { ActivationRule, RankingRule, WeightRule } from "./rankings/rule.ts";
export { ResidentScorer } from "./resident_scorer.ts";
export { concatenated, everySample, listOf, type SampleList } from "./sample_list.ts";
export { routedTokens } from "./routed_tokens.ts";
export type { Scorable, Score, Scorer } from "./scorer.ts";
export { sharedPassBytes } from "./shared_passes.ts";
export { SuffixScorer } from "./suffix_scorer.ts";
export { parseSamples, textSamples } from "./text_samples.ts";
