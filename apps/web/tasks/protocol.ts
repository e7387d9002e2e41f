/**
 * What a page asks of a worker, what it is told meanwhile, and what comes of it. All of it can be
 * copied.
 */
import type { Candidate, PrunePlan } from "@lopper/core";
import type { RunRecord } from "@lopper/run";
import type { Asked } from "./about.ts";

/** A model to prune: the one that comes with the page, or files by their paths. */
export type Source =
  | { readonly kind: "embedded" }
  | { readonly kind: "files"; readonly name: string; readonly files: ReadonlyMap<string, File> };

/** What a model is, in a few words. */
export interface Opened {
  readonly title: string;
  readonly family: string;
  readonly layers: number;
  readonly parameters: number;
  readonly bytes: number;
  /** Tokens that it takes at most. */
  readonly longest: number;
  /** The most that can go, in per cent, by Lopper's own preset. */
  readonly largestRatio: number;
  /** What is passed over, and what quantised weights become; a sentence each. */
  readonly notes: readonly string[];
}

/** What an unfinished run is at, or how it ended. */
export type RunState =
  | { readonly kind: "unfinished"; readonly ratio: number }
  | { readonly kind: "finished"; readonly ratio: number }
  /** Another tab works on it. */
  | { readonly kind: "busy" }
  | { readonly kind: "damaged"; readonly problem: string };

/** A run in the browser's storage. */
export interface RunSummary {
  readonly id: string;
  readonly title: string;
  /** What is to go, in per cent. */
  readonly target: number;
  readonly begun: string;
  readonly bytes: number;
  readonly state: RunState;
}

/** The layers of a model, and what went of them so far. */
export interface Layers {
  readonly sizes: Pick<RunRecord["layers"], "dense" | "pruned">;
  readonly frontier: readonly { readonly changes: Candidate }[];
  readonly plan: PrunePlan;
}

/** A step of a search, in words and figures. */
export interface StepTold {
  /** Perplexities of different stages may be of different texts. */
  readonly stage: string;
  readonly what: string;
  readonly perplexity: number;
  /** Per cent that are gone with it. */
  readonly ratio: number;
}

export type PruneTold =
  /** It fits, and begins. */
  | {
    readonly type: "begin";
    readonly target: number;
    /** What perplexities of steps are where they are not what the word says, a sentence. */
    readonly meaning: string | null;
    /** Before the first step. */
    readonly layers: Layers;
  }
  | {
    readonly type: "progress";
    readonly phase: string;
    readonly done: number;
    readonly total: number;
  }
  /**
   * Steps that were taken since the last; after the first of a run that goes on, all that it had.
   */
  | { readonly type: "steps"; readonly steps: readonly StepTold[]; readonly layers: Layers }
  | { readonly type: "note"; readonly message: string };

/** A figure before and after, as people read it. */
export interface Figure {
  readonly what: string;
  readonly dense: string;
  readonly pruned: string;
  readonly change: string;
}

/** A finished run. */
export interface Result {
  readonly id: string;
  readonly title: string;
  /** A name for what is saved. */
  readonly name: string;
  readonly ratio: number;
  readonly figures: readonly Figure[];
  readonly steps: readonly StepTold[];
  readonly layers: Layers;
  /** Files by their paths, and their bytes. */
  readonly files: ReadonlyMap<string, number>;
}

/** A form in which a result is taken away. */
export type SavedAs =
  | { readonly form: "zip" }
  | { readonly form: "gguf"; readonly quantize: "q8_0" | "q4_0" | null };

/** A task by its name: what it is given, what it tells, and what it answers. */
export interface Tasks {
  /** All runs, the newest first. */
  readonly runs: { given: null; told: never; answer: readonly RunSummary[] };
  readonly look: { given: Source; told: never; answer: Opened };
  readonly begin: {
    given: { readonly source: Source; readonly text: File | null; readonly asked: Asked };
    told: PruneTold;
    answer: Result;
  };
  readonly goOn: { given: string; told: PruneTold; answer: Result };
  readonly result: { given: string; told: never; answer: Result };
  readonly generate: {
    given: { readonly run: string; readonly prompt: string };
    /** The text so far, and whose it is. */
    told: { readonly by: "dense" | "pruned"; readonly text: string };
    answer: null;
  };
  readonly save: {
    given: { readonly run: string; readonly as: SavedAs };
    told: string;
    answer: File;
  };
  readonly remove: { given: string; told: never; answer: null };
}

export type TaskName = keyof Tasks;

export interface Asking<N extends TaskName = TaskName> {
  readonly task: N;
  readonly given: Tasks[N]["given"];
}

/** What a worker says. */
export type Said<N extends TaskName = TaskName> =
  | { readonly told: Tasks[N]["told"] }
  | { readonly answer: Tasks[N]["answer"] }
  /** A sentence for people. */
  | { readonly problem: string };
