import type { BlockRef, LayerSpec, ModelSpec } from "@lopper/core";
import type { LayersScorer } from "./layers_scorer.ts";
import type { Arrangement, Arranger } from "./arrange.ts";
import type { Cost } from "./cost.ts";
import type { Gauge, Measure } from "./gauge.ts";
import type { History } from "./history.ts";
import type { Picker } from "./picker.ts";
import type { SampleKind, SearchPolicy, Stage } from "./policy.ts";
import type { Evidence, SequenceNll } from "./scores.ts";
import type { Step } from "./step.ts";
import type { SwapEvent } from "./swap/swap_state.ts";
import type { SwapLine } from "./swap/swap_line.ts";

export type SearchEvent =
  /** To be recorded, unless it was resumed, before the search goes on. */
  | { readonly type: "order"; readonly arrangement: Arrangement; readonly resumed: boolean }
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
  readonly layers: readonly LayerSpec[];
  /** Published pruning ratio, in per cent. */
  readonly ratio: number;
  /** Removed blocks, in the order of removal. */
  readonly removalOrder: readonly BlockRef[];
  readonly steps: readonly Step[];
  readonly measures: readonly Measure[];
  /** Each follows the steps that it names, and is followed by the others. */
  readonly swaps: readonly SwapLine[];
  /** The step at which perplexity rose too far, and by what share; it is not among the steps. */
  readonly beyond: { readonly step: Step; readonly increase: number } | null;
}

/** What is looked at beside the scores that decide. */
export interface WatchOptions {
  /** Scores text that decides nothing: the dense model, and what every step leaves, are measured on it. */
  readonly heldOut?: LayersScorer;
  /**
   * End before the step that raises perplexity by more than this share of the dense model's: on the held-out text where
   * there is one, else on the samples of the step's stage.
   */
  readonly maxIncrease?: number;
}

export interface SearchOptions {
  readonly scorers: Readonly<Record<SampleKind, LayersScorer>>;
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
  /** Decides the order of units when a stage begins that narrows blocks; without it, they stay as they lie. */
  readonly arranger?: Arranger;
  /** Forget block inputs after every step: what trunk reuse saves can be measured so. */
  readonly withoutReuse?: boolean;
  /** Swap single blocks and groups whenever a target is reached, where the policy says what may be exchanged. */
  readonly swap?: {
    /** Text on which no swap may raise the loss; null where none is kept aside. */
    readonly aside: LayersScorer | null;
  };
}

/** What every phase of a search works with; it stays the same from the first step to the last. */
export interface Search {
  readonly spec: ModelSpec;
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
export interface Reached {
  readonly layers: readonly LayerSpec[];
  /** For each block the shape that it has, or had when it went. */
  readonly last: readonly LayerSpec[];
  /** Removed blocks, in the order of removal. */
  readonly removalOrder: readonly BlockRef[];
  readonly steps: readonly Step[];
  readonly swaps: readonly SwapLine[];
  /** The order that units of a kind lie in, where a stage gave them one. */
  readonly orders: ReadonlyMap<Arrangement["units"], Arrangement>;
  /** What is known of the loss of `layers`; null before the first step. */
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
export function startOf({ layers }: ModelSpec): Reached {
  return {
    layers,
    last: layers,
    removalOrder: [],
    steps: [],
    swaps: [],
    orders: new Map(),
    scored: null,
    work: 0,
    beyond: null,
  };
}

/** Lets go of all kept block inputs. */
export function releaseAll(scorers: SearchOptions["scorers"]) {
  for (const scorer of Object.values(scorers)) scorer.release();
}
