/**
 * The search: which candidate goes, step by step. It runs no model: what scores is a `Scorer`, what ranks units an
 * `Arranger`, both handed in.
 */
export * from "./arrange.ts";
export * from "./by_layers.ts";
export * from "./candidate_key.ts";
export * from "./candidates.ts";
export * from "./check_way.ts";
export * from "./check_history.ts";
export * from "./competition.ts";
export * from "./cost.ts";
export * from "./describe_changes.ts";
export * from "./dimensions/dimension.ts";
export * from "./dimensions/list.ts";
export * from "./exhaustive.ts";
export * from "./way_schema.ts";
export * from "./gauge.ts";
export * from "./greedy.ts";
export * from "./group_sizes.ts";
export type { History } from "./history.ts";
export * from "./journal.ts";
export { agrees } from "./misfit.ts";
export * from "./json_values.ts";
export * from "./multi_pruner.ts";
export * from "./part.ts";
export * from "./picker.ts";
export * from "./plan.ts";
export * from "./policy.ts";
export type { Proposal } from "./proposal.ts";
export { raceBatches } from "./race/batches.ts";
export * from "./race/race.ts";
export * from "./reach.ts";
export * from "./reachable_sizes.ts";
export * from "./resource.ts";
export * from "./repair_line.ts";
export * from "./saved.ts";
export * from "./scores.ts";
export * from "./search_model.ts";
export type { SearchEvent, SearchOptions, SearchResult, WatchOptions } from "./search.ts";
export * from "./side_work.ts";
export * from "./state.ts";
export type { ScoredCandidate, Step } from "./step.ts";
export * from "./swap/swap.ts";
export * from "./swap/swap_line.ts";
export * from "./swap/swap_state.ts";
export * from "./uniform.ts";
export * from "./way.ts";
