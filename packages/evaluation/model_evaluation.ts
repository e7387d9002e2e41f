import type { BosRule } from "@lopper/tokenizers";
import type { Metric, Outcomes } from "./metrics.ts";
import type { MetricName } from "./task.ts";

/** What was measured of one model. */
export interface ModelEvaluation {
  readonly model: string;
  readonly digest: string;
  readonly parameters: number;
  readonly backend: { readonly name: string; readonly engine: string; readonly threads: number };
  /** Which windows of a text, and whether questions, began with what the tokenizer puts there. */
  readonly bos: BosRule;
  /** How many tokens that is. */
  readonly startTokens: number;
  readonly texts: readonly TextEvaluation[];
  readonly tasks: readonly TaskEvaluation[];
}

export interface TextEvaluation {
  readonly text: string;
  readonly perplexity: number;
  readonly bitsPerByte: number;
  /** Tokens of a window, windows, and tokens and bytes of the whole text. */
  readonly seqLen: number;
  readonly windows: number;
  readonly tokens: number;
  readonly bytes: number;
}

export interface TaskEvaluation {
  readonly task: string;
  /** Questions asked, and those that there are. */
  readonly questions: number;
  readonly available: number;
  readonly requests: number;
  /** Questions that are too long for the model, and lost the beginning of a context. */
  readonly shortened: number;
  /** Of the questions asked. */
  readonly dataDigest: string;
  readonly metrics: Readonly<Partial<Record<MetricName, Metric>>>;
  /** Blocks run × tokens, and seconds; 0 for what was known. */
  readonly blockTokens: number;
  readonly seconds: number;
}

/** What a model was measured by, one question and one window at a time: for paired comparisons. */
export interface MeasuredModel {
  readonly evaluation: ModelEvaluation;
  /** Mean negative log-likelihood of each window of each text, in nats per token. */
  readonly windowNll: readonly (readonly number[])[];
  /** Of each task. */
  readonly outcomes: readonly Outcomes[];
}
