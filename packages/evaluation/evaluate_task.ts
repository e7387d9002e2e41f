import { EvaluationError, sha256 } from "@lopper/core";
import type { Tokenizer } from "@lopper/tokenizers";
import {
  type EncodedRequest,
  type EncodeOptions,
  encodeRequest,
  type TokenRequest,
} from "./encode.ts";
import { aggregate, type Metric, outcome, type Outcomes } from "./metrics.ts";
import type { Progress, QuestionScores, RequestScore, RequestScorer } from "./request_scorer.ts";
import type { MetricName, Question, Task } from "./task.ts";

/** The questions of a task, tokenised for one model. */
export interface PreparedTask {
  readonly task: Task;
  readonly questions: readonly Question[];
  readonly requests: readonly (readonly TokenRequest[])[];
  /** Questions that are too long for the model, and lost the beginning of a context. */
  readonly shortened: number;
}

/** What a model achieves in a task. */
export interface TaskResult {
  readonly task: string;
  readonly questions: number;
  readonly requests: number;
  readonly metrics: Readonly<Partial<Record<MetricName, Metric>>>;
  /** By question, for paired comparisons. */
  readonly outcomes: Outcomes;
  /** By question, one score for each of its requests. */
  readonly scores: readonly (readonly RequestScore[])[];
}

export interface EvaluateOptions {
  /** Scores that are known already, by number of the question. */
  readonly known?: ReadonlyMap<number, readonly RequestScore[]>;
  /** Hears which questions a batch completed, before the next one begins. */
  readonly onScored?: (scored: readonly QuestionScores[]) => Promise<void> | void;
  readonly onProgress?: (progress: Progress) => void;
}

/**
 * Tokens of all requests of a task, which are in memory while it is scored: HellaSwag has 4
 * million.
 */
const MAX_TASK_TOKENS = 6 * 2 ** 20;

/** Questions that the tokenizer, which works in a thread of its own, is given at a time. */
const TOGETHER = 16;

/** @throws {EvaluationError} naming the question that cannot be tokenised as it needs to be. */
export async function prepareTask(
  task: Task,
  questions: readonly Question[],
  tokenizer: Tokenizer,
  options: EncodeOptions,
): Promise<PreparedTask> {
  const requests: (readonly TokenRequest[])[] = [];
  let [shortened, tokens] = [0, 0];
  let ahead: readonly PromiseSettledResult<readonly EncodedRequest[]>[] = [];
  for (const i of questions.keys()) {
    if (i % TOGETHER === 0) {
      const some = questions.slice(i, i + TOGETHER);
      ahead = await Promise.allSettled(some.map((q) => encodeQuestion(q, tokenizer, options)));
    }
    try {
      const found = ahead[i % TOGETHER];
      if (found.status === "rejected") throw found.reason;
      const encoded = found.value;
      requests.push(encoded.map(({ tokens, scored }) => ({ tokens, scored })));
      tokens += encoded.reduce((sum, request) => sum + request.tokens.length, 0);
      if (tokens > MAX_TASK_TOKENS) {
        throw new EvaluationError(
          `up to here there are ${tokens} tokens, and a task has ${MAX_TASK_TOKENS} at most (--limit asks fewer questions)`,
        );
      }
      if (encoded.some(({ omitted }) => omitted > 0)) shortened += 1;
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      throw new EvaluationError(`${task.name}, question ${i + 1}: ${error.message}`);
    }
  }
  return { task, questions, requests, shortened };
}

function encodeQuestion(question: Question, tokenizer: Tokenizer, options: EncodeOptions) {
  // Most answers of a question share its context, which is then tokenised once.
  const remembered = remembering(tokenizer);
  return Promise.all(question.requests.map((one) => encodeRequest(one, remembered, options)));
}

/** A tokenizer that tokenises no text twice. */
function remembering(tokenizer: Tokenizer): Tokenizer {
  const known = new Map<string, Promise<readonly number[]>>();
  return {
    ...tokenizer,
    encode(text, options) {
      const key = `${options?.addSpecialTokens} ${text}`;
      const ids = known.get(key) ?? tokenizer.encode(text, options);
      known.set(key, ids);
      return ids;
    },
  };
}

/** Scores what is not known yet, and sums up. */
export async function evaluateTask(
  scorer: Pick<RequestScorer, "score">,
  { task, questions, requests }: PreparedTask,
  { known = new Map(), onScored, onProgress }: EvaluateOptions = {},
): Promise<TaskResult> {
  const scores: (readonly RequestScore[])[] = questions.map((_, i) => known.get(i) ?? []);
  const open = questions.flatMap((_, i) => known.has(i) ? [] : [i]);
  for await (const batch of scorer.score(open.map((i) => requests[i]), onProgress)) {
    const scored = batch.map(({ question, scores }) => ({ question: open[question], scores }));
    for (const { question, scores: found } of scored) scores[question] = found;
    await onScored?.(scored);
  }
  const outcomes = Object.fromEntries(
    task.metrics.map((metric) => [
      metric,
      questions.map((question, i) => outcome(metric, question, scores[i])),
    ]),
  ) as Outcomes;
  const metrics = Object.fromEntries(
    task.metrics.map((metric) => [metric, aggregate(metric, outcomes[metric]!)]),
  );
  return {
    task: task.name,
    questions: questions.length,
    requests: requests.reduce((sum, { length }) => sum + length, 0),
    metrics,
    outcomes,
    scores,
  };
}

/** `sha256:…` of the questions: what a result depended on beside the model. */
export function questionsDigest(questions: readonly Question[]): Promise<string> {
  return sha256(new TextEncoder().encode(JSON.stringify(questions)));
}
