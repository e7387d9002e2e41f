/**
 * The search: which candidate goes, step by step. It runs no model: what scores is a `Scorer`, what
 * ranks units an `Ranker`, both handed in.
 */
export type { Ranker, RankRequest } from "./ranker.ts";
export { type CandidateKey, type Cut, cutsOf } from "./candidate_key.ts";
export { checkHistory } from "./check_history.ts";
export { checkWay } from "./check_way.ts";
export { competition } from "./competition.ts";
export { type Cost, costBetween, sumOfCosts } from "./cost.ts";
export {
  blockLabel,
  describeChanges,
  describeKey,
  kindLabel,
  unitsLabel,
} from "./describe_changes.ts";
export { type GroupSizes, unitWidth } from "./dimensions/dimension.ts";
export { exhaustive } from "./exhaustive.ts";
export type { MeasureEvent } from "./gauge.ts";
export { greedySearch } from "./greedy.ts";
export {
  defaultExpertGroup,
  defaultMlpGroup,
  headGroupUnit,
  PUBLISHED_MLP_GROUPS,
} from "./group_sizes.ts";
export type { History } from "./history.ts";
export { parseJournal, toJournalLine } from "./journal.ts";
export { journalEntry } from "./journal_entry.ts";
export { count, list, lossy } from "./json_values.ts";
export { agrees } from "./misfit.ts";
export { multiPruner, type PresetName, PRESETS } from "./multi_pruner.ts";
export { kindOfChanges, placeOfPart } from "./part.ts";
export type { Picker } from "./picker.ts";
export { changesTo, keepsMostImportant } from "./plan.ts";
export { type SampleKind, samplesOf, type SearchPolicy, stageLabel } from "./policy.ts";
export type { Proposal } from "./proposal.ts";
export { raceBatches } from "./race/batches.ts";
export { Race, TECHNIQUES } from "./race/race.ts";
export { expectedSteps, expectedTokens, largestReachableRatio, rehearse } from "./reach.ts";
export { reachableSizes } from "./reachable_sizes.ts";
export { quickResource } from "./resource.ts";
export { StepScores } from "./scores.ts";
export { ByTable } from "./table/by_table.ts";
export type { Fitter } from "./table/fitter.ts";
export { tableWork } from "./table/table_work.ts";
export type { SearchEvent, SearchOptions, SearchResult } from "./search.ts";
export { type SearchModel, searchModelOf } from "./search_model.ts";
export { type SideWork, sideWork } from "./side_work.ts";
export { denseState, stateAfter } from "./state.ts";
export { MAX_SWAPS } from "./swap/swap.ts";
export { keptSwaps } from "./swap/swap_line.ts";
export { dimensionsOfWholeExperts } from "./dimensions/list.ts";
export { uniformCompetition, uniformPruner } from "./uniform.ts";
export { changesOf, wayOf } from "./way.ts";
export { type FrontierStep, type SwapPhase, type Way, waySchema } from "./way_schema.ts";
export type {
  BlockRefit,
  JournalEntry,
  LocalRefit,
  RankingLine,
  RecoveryLine,
  RecoveryTest,
  Step,
  SwapLine,
} from "./journal_lines.ts";
