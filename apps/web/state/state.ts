/** What the page shows, as values that never change: each event makes the next state. */
import type { Asked } from "../tasks/about.ts";
import type {
  Layers,
  Opened,
  PruneTold,
  Result,
  RunSummary,
  Source,
  StepTold,
} from "../tasks/protocol.ts";

/** A piece of work that goes on, and since when. */
export interface Phase {
  readonly name: string;
  readonly done: number;
  readonly total: number;
  /** Where it was when it was first heard of, and when that was, in milliseconds. */
  readonly first: { readonly done: number; readonly at: number };
}

/** A model that was chosen, and what is asked of it. */
export interface Chosen {
  readonly at: "chosen";
  readonly source: Source;
  readonly opened: Opened;
  readonly asked: Asked;
  /** The user's own text to judge by. */
  readonly text: File | null;
}

/** A run that goes on. */
export interface Running {
  readonly at: "running";
  readonly title: string;
  /** Per cent that are to go. */
  readonly target: number;
  readonly phase: Phase | null;
  readonly steps: readonly StepTold[];
  readonly layers: Layers | null;
  /** What perplexities of steps are where they are not what the word says. */
  readonly meaning: string | null;
  readonly notes: readonly string[];
}

/** A finished run, and what is tried with it. */
export interface Finished {
  readonly at: "finished";
  readonly result: Result;
  /** How both models go on; null where nobody asked. */
  readonly tried: Tried | null;
  /** What is being done to save it; null for nothing. */
  readonly saving: string | null;
}

export interface Tried {
  readonly prompt: string;
  readonly dense: string | null;
  readonly pruned: string | null;
  readonly isOver: boolean;
}

export type View =
  | { readonly at: "start" }
  /** This browser cannot do it. */
  | { readonly at: "unable"; readonly reason: string }
  /** A model is being looked at. */
  | { readonly at: "looking"; readonly name: string }
  | Chosen
  | Running
  | Finished;

export interface State {
  readonly view: View;
  /** In the browser's storage. */
  readonly runs: readonly RunSummary[];
  /** What went wrong last, as a sentence. */
  readonly problem: string | null;
  /** What a screen reader says now. */
  readonly said: string;
  /** Whether all of the page is kept for use without a network. */
  readonly isKept: boolean;
}

export const START: State = {
  view: { at: "start" },
  runs: [],
  problem: null,
  said: "",
  isKept: false,
};

/** Per cent that go where nobody says otherwise, as on the command line. */
const USUAL_RATIO = 20;

/** A model that was looked at, with what is asked of it unless somebody says otherwise. */
export function chosen(source: Source, opened: Opened): Chosen {
  const ratio = Math.min(USUAL_RATIO, mostOf(opened));
  return { at: "chosen", source, opened, asked: { ratio, preset: "lopper" }, text: null };
}

/** The most that the page offers to remove, in whole per cent. */
export function mostOf({ largestRatio }: Opened): number {
  return Math.max(1, Math.floor(largestRatio));
}

export function running(title: string, target: number): Running {
  return {
    ...{ at: "running", title, target },
    phase: null,
    steps: [],
    layers: null,
    meaning: null,
    notes: [],
  };
}

/** A run after it told something. @param now in milliseconds. */
export function afterTold(run: Running, told: PruneTold, now: number): Running {
  switch (told.type) {
    case "begin":
      return { ...run, target: told.target, meaning: told.meaning, layers: told.layers };
    case "progress":
      return { ...run, phase: phaseAfter(run.phase, told.phase, told, now) };
    case "steps":
      return { ...run, steps: [...run.steps, ...told.steps], layers: told.layers };
    case "note":
      return { ...run, notes: [...run.notes, told.message] };
  }
}

/** A piece of work at a point; another one begins where the name is another, or it starts anew. */
export function phaseAfter(
  before: Phase | null,
  name: string,
  { done, total }: { readonly done: number; readonly total: number },
  now: number,
): Phase {
  const goesOn = before !== null && before.name === name && done >= before.done;
  return { name, done, total, first: goesOn ? before.first : { done, at: now } };
}

/** Milliseconds of work after which something can be said of what is left. */
const SOON_MS = 3000;

/**
 * Seconds that a piece of work still takes at the speed that it had; null where that is not known
 * yet.
 */
export function secondsLeft({ done, total, first }: Phase, now: number): number | null {
  const worked = now - first.at;
  if (worked < SOON_MS || done <= first.done) return null;
  return worked / 1000 * (total - done) / (done - first.done);
}
