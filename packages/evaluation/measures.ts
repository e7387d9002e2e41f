import type { Backend } from "@lopper/backends";
import type { StopSignal } from "@lopper/core";
import type { Model } from "@lopper/models";
import type { Decoder } from "@lopper/runtime";
import type { BosRule, Tokenizer } from "@lopper/tokenizers";
import type { TokenRequest } from "./encode.ts";
import type { QuestionScores, RequestScore } from "./request_scorer.ts";
import type { Question, Task } from "./task.ts";

/** A text whose perplexity is measured. */
export interface NamedText {
  readonly name: string;
  readonly text: string;
}

/** The questions of a task that are asked. */
export interface AskedTask {
  readonly task: Task;
  readonly questions: readonly Question[];
  /** Questions that the data set has. */
  readonly available: number;
  /** Where they were. */
  readonly file: string;
}

/** What is to be measured of a model. */
export interface Measures {
  readonly texts: readonly NamedText[];
  readonly tasks: readonly AskedTask[];
}

/** A model that is open to be measured. */
export interface OpenedModel {
  readonly model: Model;
  readonly title: string;
  readonly digest: string;
  readonly tokenizer: Tokenizer;
  readonly decoder: Decoder;
  readonly backend: Backend;
  /** Tokens of a perplexity window. */
  readonly length: number;
  readonly log: ScoreLog;
}

/** Scores of one model that are known, by number, and what keeps new ones. */
export interface ScoreLog {
  questions(task: string, requests: readonly (readonly TokenRequest[])[]): Promise<{
    readonly known: ReadonlyMap<number, readonly RequestScore[]>;
    readonly append: (scored: readonly QuestionScores[]) => Promise<void>;
  }>;
  windows(text: string, windows: readonly (readonly number[])[]): Promise<{
    readonly known: ReadonlyMap<number, number>;
    readonly append: (window: number, nll: number) => Promise<void>;
  }>;
}

/** How models are measured, and who hears of it. */
export interface Measuring {
  /** Which windows of a text, and whether questions, begin with what the tokenizer puts there. */
  readonly bos: BosRule;
  readonly signal?: StopSignal;
  readonly teller: {
    /** Work in any unit, in order. */
    progress(what: string, done: number, total: number): void;
    /** It is over. */
    stop(): void;
    /** What went wrong beside the work, which goes on. */
    warn(message: string): void;
  };
}

/** Tokens that go through a block together when questions are scored. */
export const BATCH_TOKENS = 2048;
