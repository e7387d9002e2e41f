import type { ChoiceQuestion, MetricName, Question } from "./task.ts";
import type { RequestScore } from "./request_scorer.ts";

/** A figure and its standard error. */
export interface Metric {
  readonly value: number;
  /** Null for a single question, which has none. */
  readonly stderr: number | null;
}

/** What each question adds to a metric: 0 or 1, or for perplexity a log-likelihood in nats. */
export type Outcomes = Readonly<Partial<Record<MetricName, readonly number[]>>>;

/**
 * The measure that the tables of BlockPruner and MultiPruner give for a task: acc_norm where it has
 * one, else acc.
 */
export function headline(metrics: Readonly<Partial<Record<MetricName, unknown>>>): MetricName {
  const names: readonly MetricName[] = ["acc_norm", "acc"];
  return names.find((name) => metrics[name] !== undefined) ?? "perplexity";
}

/**
 * One question's outcome, as lm-evaluation-harness counts it (`process_results`, version 0.4.13).
 */
export function outcome(
  metric: MetricName,
  question: Question,
  scores: readonly RequestScore[],
): number {
  if (metric === "perplexity") return scores[0].logLikelihood;
  if (question.kind === "cloze") return scores[0].greedy ? 1 : 0;
  return bestAnswer(metric, question, scores) === question.gold ? 1 : 0;
}

/** The likeliest answer, the first of equals; for acc_norm by log-likelihood per code point. */
function bestAnswer(
  metric: "acc" | "acc_norm",
  { lengths }: ChoiceQuestion,
  scores: readonly RequestScore[],
): number {
  const values = scores.map(({ logLikelihood }, i) =>
    metric === "acc_norm" ? logLikelihood / lengths[i] : logLikelihood
  );
  return values.indexOf(Math.max(...values));
}

/**
 * The mean of outcomes with the standard error of a mean, sample standard deviation / √n; for
 * perplexity exp of minus the mean, whose error is that of the mean times the perplexity (the delta
 * method; the harness resamples, to the same end).
 */
export function aggregate(metric: MetricName, outcomes: readonly number[]): Metric {
  const n = outcomes.length;
  const mean = outcomes.reduce((sum, x) => sum + x, 0) / n;
  const squares = outcomes.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  const error = n > 1 ? Math.sqrt(squares / (n - 1)) / Math.sqrt(n) : null;
  if (metric !== "perplexity") return { value: mean, stderr: error };
  const value = Math.exp(-mean);
  return { value, stderr: error === null ? null : value * error };
}
