/**
 * The search: which candidate goes, step by step. It runs no model: what scores is a `Scorer`, what ranks units an
 * `Arranger`, both handed in.
 */
export type { Arrangement, Arranger, ArrangeRequest } from "./arrange.ts";
export { shapeResource } from "./by_layers.ts";
export { type CandidateKey, type Cut, cutsOf } from "./candidate_key.ts";
export { checkWay } from "./check_way.ts";
export { checkHistory } from "./check_history.ts";
export { competition } from "./competition.ts";
export { type Cost, costBetween, sumOfCosts } from "./cost.ts";
export { describeChanges, describeKey, unitsLabel } from "./describe_changes.ts";
export { type GroupSizes, type SearchDimension, unitWidth } from "./dimensions/dimension.ts";
export { exhaustive } from "./exhaustive.ts";
export { type FrontierStep, type Swap, type SwapPhase, type Way, waySchema } from "./way_schema.ts";
export type { GaugeOptions, Measure, MeasuredText, MeasureEvent } from "./gauge.ts";
export { greedySearch } from "./greedy.ts";
export { defaultMlpGroup, headGroupUnit, MLP_GROUPS } from "./group_sizes.ts";
export type { History } from "./history.ts";
export { type JournalEntry, parseJournal, toJournalLine } from "./journal.ts";
export { agrees } from "./misfit.ts";
export { count, list, lossy } from "./json_values.ts";
export { multiPruner, type PresetName, PRESETS } from "./multi_pruner.ts";
export { kindOfChanges, placeOfPart } from "./part.ts";
export type { Picker } from "./picker.ts";
export { changesTo, keepsMostImportant, orderOfPlan } from "./plan.ts";
export {
  type Exchange,
  type MultiPrunerOptions,
  type PolicyOptions,
  type SampleKind,
  samplesOf,
  type SearchPolicy,
  type Stage,
  stageLabel,
} from "./policy.ts";
export type { Proposal } from "./proposal.ts";
export { raceBatches } from "./race/batches.ts";
export { Race, type RaceOptions, TECHNIQUES } from "./race/race.ts";
export {
  expectedSteps,
  expectedTokens,
  largestReachableRatio,
  type Rehearsal,
  rehearse,
} from "./reach.ts";
export { reachableSizes } from "./reachable_sizes.ts";
export type { ShapeResource } from "./resource.ts";
export type { BlockRepair, RepairLine, RepairVerdict } from "./repair_line.ts";
export {
  type Evidence,
  type Measurement,
  type Perturbations,
  type ScoreEvent,
  type SequenceNll,
  StepScores,
  type StepScoresOptions,
} from "./scores.ts";
export { type SearchModel, searchModelOf } from "./search_model.ts";
export type { SearchEvent, SearchOptions, SearchResult, WatchOptions } from "./search.ts";
export { type SideWork, sideWork } from "./side_work.ts";
export { denseState, type SearchState, stateAfter } from "./state.ts";
export type { ScoredCandidate, Step } from "./step.ts";
export { MOST_SWAPS } from "./swap/swap.ts";
export { keptSwaps, type SwapLine, type SwapSummary, type SwapTrial } from "./swap/swap_line.ts";
export type {
  SwapBase,
  SwapEvent,
  SwapOptions,
  SwapResult,
  SwapStart,
  TriedSwaps,
} from "./swap/swap_state.ts";
export { uniformCompetition, uniformPruner } from "./uniform.ts";
export { changesOf, wayOf } from "./way.ts";
