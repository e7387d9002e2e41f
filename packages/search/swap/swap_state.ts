import type { KeptByBlock, Shape } from "@lopper/core";
import type { Cost } from "../cost.ts";
import type { MeasureEvent } from "../gauge.ts";
import type { Scorer } from "@lopper/importance";
import type { SearchState } from "../state.ts";
import type { SwapPair } from "./swap_pairs.ts";
import type { SwapLine, SwapTrial } from "../journal_lines.ts";

/** What a search ended with. */
export interface SwapStart {
  readonly state: SearchState;
  /** What each block keeps, or kept when it went. */
  readonly last: KeptByBlock;
  /** Steps that were taken. */
  readonly steps: number;
}

export interface SwapOptions {
  /** The block samples. */
  readonly scorer: Scorer;
  /** Text on which no swap may raise the loss; null where none is kept aside. */
  readonly validation: Scorer | null;
  /** Lines of an earlier run; they are believed. */
  readonly recorded: readonly SwapLine[];
  readonly measure: () => Cost;
  /** Hears of work on the validation text, between two batches; may throw to stop. */
  readonly onWork?: () => void;
  /**
   * Measures what a swap would leave on the held-out text. @param swap how many were tried before
   * it.
   * @returns whether it may stay.
   */
  gauge(
    swap: number,
    shape: Shape,
  ): AsyncGenerator<MeasureEvent, boolean>;
}

export type SwapEvent =
  /** To be recorded, unless it was resumed, before the search goes on. */
  | { readonly type: "swap"; readonly line: SwapLine; readonly resumed: boolean }
  | MeasureEvent
  | {
    readonly type: "progress";
    readonly stage: "swaps";
    readonly ratio: number;
    readonly done: number;
    readonly total: number;
  };

export interface SwapResult {
  readonly state: SearchState;
  readonly last: KeptByBlock;
  readonly lines: readonly SwapLine[];
}

/** A plan that swaps begin from. */
export interface SwapBase extends Pick<SwapStart, "state" | "last"> {
  readonly ratio: number;
  /** Mean NLL of each sequence of the block samples, in nats per token. */
  readonly nll: readonly number[];
  /** The same of the validation text; null as long as nobody asked. */
  readonly validation: readonly number[] | null;
}

/** What came of trying some swaps of a plan. */
export interface TriedSwaps {
  /** The one that is kept. */
  readonly taken: { readonly pair: SwapPair; readonly line: SwapTrial } | null;
  readonly refused: readonly SwapPair[];
  readonly lines: readonly SwapTrial[];
}
