import type { RecoveryLine, SearchEvent } from "@lopper/search";
import type { RunFlags } from "./schemas/flags.ts";

/** What a run is at, as people are told. */
export type PhaseName =
  | "reading the model"
  | "asking the dense model"
  | "searching"
  | "looking at activations"
  | "measuring the result"
  | "recovery"
  | "timing the dense model"
  | "timing the result";

/** What a run tells while it works. */
export type RunEvent =
  /** It fits into memory, and begins: its settings, with batches as small as they have to be. */
  | { readonly type: "begin"; readonly flags: RunFlags }
  /** Work in any unit, in order. */
  | {
    readonly type: "progress";
    readonly phase: PhaseName;
    readonly done: number;
    readonly total: number;
  }
  /** A phase is over. */
  | { readonly type: "finished"; readonly phase: PhaseName }
  /** What the search decided, found out or is at; what was to be recorded is. */
  | { readonly type: "search"; readonly event: SearchEvent }
  /** A refit that was tried, or the test of all of them. */
  | { readonly type: "refit"; readonly line: RecoveryLine; readonly resumed: boolean }
  /** One fact, for people. */
  | { readonly type: "note"; readonly message: string };
