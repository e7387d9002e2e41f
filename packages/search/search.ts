import type { Candidate, KeptByBlock, Ranking } from "@lopper/core";
import type { Ranker } from "./ranker.ts";
import type { Cost } from "./cost.ts";
import type { Gauge } from "./gauge.ts";
import type { History } from "./history.ts";
import type { Picker } from "./picker.ts";
import type { SampleKind, SearchPolicy, Stage } from "./policy.ts";
import type { Scorer } from "@lopper/importance";
import type { SequenceNll } from "./scores.ts";
import type { SearchModel } from "./search_model.ts";
import { denseState, type SearchState } from "./state.ts";
import type { SwapEvent } from "./swap/swap_state.ts";
import type { Evidence, Measure, RankingLine, Step, SwapLine } from "./journal_lines.ts";

export type SearchEvent =
  /** To be recorded, unless it was resumed, before the search goes on. */
  | { readonly type: "ranking"; readonly ranking: RankingLine; readonly resumed: boolean }
  | SwapEvent
  | { readonly type: "step"; readonly step: Step; readonly resumed: boolean }
  /** To be recorded before the search goes on. */
  | { readonly type: "evidence"; readonly evidence: Evidence }
  /** Work in candidate-tokens, an estimate of what is left included. */
  | {
    readonly type: "progress";
    readonly stage: Stage["name"];
    readonly ratio: number;
    readonly done: number;
    readonly total: number;
  }
  | { readonly type: "warning"; readonly message: string };

/** Where a search ends. */
export interface SearchResult {
  readonly state: SearchState;
  /** What led there, in its order. */
  readonly changes: Candidate;
  /** Published pruning ratio, in per cent. */
  readonly ratio: number;
  readonly steps: readonly Step[];
  readonly measures: readonly Measure[];
  /** Each follows the steps that it names, and is followed by the others. */
  readonly swaps: readonly SwapLine[];
  /** The step at which perplexity rose too far, and by what share; it is not among the steps. */
  readonly beyond: { readonly step: Step; readonly increase: number } | null;
}

/** What is looked at beside the scores that decide. */
export interface WatchOptions {
  /**
   * Scores text that decides nothing: the dense model, and what every step leaves, are measured on
   * it.
   */
  readonly heldOut?: Scorer;
  /**
   * End before the step that raises perplexity by more than this share of the dense model's: on the
   * held-out text where there is one, else on the samples of the step's stage.
   */
  readonly maxIncrease?: number;
}

export interface SearchOptions {
  readonly scorers: Readonly<Record<SampleKind, Scorer>>;
  readonly picker: Picker;
  /** The work of the whole process so far; differences count. */
  readonly measure: () => Cost;
  /** What an earlier run found out; it is believed, and not scored again. */
  readonly history?: History;
  /** End where the candidates end instead of failing below the target. */
  readonly bestEffort?: boolean;
  readonly watch?: WatchOptions;
  /** Hears of work inside a measure, between two batches; may throw to stop. */
  readonly onMeasuring?: () => void;
  readonly units?: {
    /** The ranking in which they lie when the search begins; without it, that of the checkpoint. */
    readonly ranking?: Ranking;
    /**
     * Decides their ranking when a stage begins that narrows blocks; without it, the first one
     * holds on.
     */
    readonly ranker?: Ranker;
  };
  /** Forget block inputs after every step: what reuse of the base plan saves can be measured so. */
  readonly withoutReuse?: boolean;
  /**
   * Swap single blocks and groups whenever a target is reached, where the policy says what may be
   * exchanged.
   */
  readonly swap?: {
    /** Text on which no swap may raise the loss; null where none is kept aside. */
    readonly validation: Scorer | null;
  };
}

/** What every phase of a search works with; it stays the same from the first step to the last. */
export interface Search {
  readonly model: SearchModel;
  readonly policy: SearchPolicy;
  readonly options: SearchOptions;
  /** What an earlier run found out. */
  readonly history: History;
  /** The same of each step by its number. */
  readonly evidence: ReadonlyMap<number, readonly Evidence[]>;
  /** Watches what is left. */
  readonly gauge: Gauge;
}

/** How far a search has come. */
export interface SearchPosition {
  readonly state: SearchState;
  /** What each block keeps, or kept when it went. */
  readonly last: KeptByBlock;
  /** What led there, in its order. */
  readonly changes: Candidate;
  readonly steps: readonly Step[];
  readonly swaps: readonly SwapLine[];
  /** What is known of the loss of what is left; null before the first step. */
  readonly scored: {
    /** On which the last step was decided. */
    readonly samples: SampleKind;
    /** NLL by sequence of those samples; null where what is there was not scored on all of them. */
    readonly nll: SequenceNll | null;
  } | null;
  /** Candidate-tokens that were scored. */
  readonly work: number;
  /** The step that went too far, at which the search ends. */
  readonly beyond: SearchResult["beyond"];
}

/** Before the first step. */
export function startOf({ blocks }: SearchModel, ranking?: Ranking): SearchPosition {
  const state = denseState(blocks, ranking);
  return {
    state,
    last: state.kept,
    changes: [],
    steps: [],
    swaps: [],
    scored: null,
    work: 0,
    beyond: null,
  };
}

/** Lets go of all kept block inputs. */
export function releaseAll(scorers: SearchOptions["scorers"]) {
  for (const scorer of Object.values(scorers)) scorer.release();
}
