/**
 * What a model is measured by for quality.md, and how two models compare on the same questions and
 * windows.
 */
import {
  type Estimate,
  evaluateModel,
  headline,
  type Metric,
  type MetricName,
  pairedDifference,
  PAPER_TASKS,
  perplexityRatio,
} from "@lopper/evaluation";
import { basename } from "node:path";
import { modelLocator } from "../../apps/cli/shared/inputs/locate_models.ts";
import { EvaluationLog } from "../../apps/cli/shared/measuring/evaluation_log.ts";
import { readUserMeasures } from "../../apps/cli/shared/measuring/evaluation_options.ts";
import { openMeasured } from "../../apps/cli/shared/measuring/open_measured.ts";
import { UNINTERRUPTED } from "../../apps/cli/shared/terminal/interrupt.ts";
import { openReporter } from "../../apps/cli/shared/terminal/reporter.ts";

/** What `lopper evaluate` finds of a model, in few words, and what paired comparisons need. */
export interface Scores {
  readonly parameters: number;
  readonly texts: readonly TextScore[];
  readonly tasks: readonly TaskScore[];
}

export interface TextScore {
  /** Name of its file: where it lies says nothing of the model. */
  readonly text: string;
  readonly perplexity: number;
  /** Mean negative log-likelihood of each window, in nats; rows of earlier versions lack it. */
  readonly windowNll?: readonly number[];
}

export interface TaskScore {
  readonly task: string;
  readonly questions: number;
  readonly metrics: Readonly<Partial<Record<MetricName, Metric>>>;
  /**
   * 1 for each question that the headline metric counts as right, else 0, as one word; missing as
   * above.
   */
  readonly right?: string;
}

export interface ScoreInputs {
  /** Folder of the data sets, as `lopper evaluate --data` reads it. */
  readonly data: string;
  /** Files of text. */
  readonly texts: readonly string[];
  /** Questions of each task. */
  readonly limit: number;
  /** Folder that keeps scores, which are not computed again. */
  readonly out: string;
}

/** Measures a model as `lopper evaluate` does. */
export async function scoresOf(path: string, { data, texts, limit, out }: ScoreInputs) {
  const tasks = PAPER_TASKS.join(",");
  const options = { backend: "auto" as const, tasks, perplexity: texts, data, limit };
  const reporter = openReporter();
  const measures = await readUserMeasures(options, reporter);
  await Deno.mkdir(out, { recursive: true });
  const log = await EvaluationLog.open(`${out}/scores.jsonl`);
  try {
    const { signal } = new AbortController();
    const [located] = await modelLocator()([path], { reporter, interruption: UNINTERRUPTED });
    await using open = await openMeasured({ located, log, options, reporter, signal });
    const measuring = { bos: "each" as const, signal, teller: reporter };
    const { evaluation, windowNll, outcomes } = await evaluateModel(open, measures, measuring);
    const scores: Scores = {
      parameters: evaluation.parameters,
      texts: evaluation.texts.map(({ text, perplexity }, i) => ({
        text: basename(text),
        perplexity,
        windowNll: windowNll[i],
      })),
      tasks: evaluation.tasks.map(({ task, questions, metrics }, i) => ({
        task,
        questions,
        metrics,
        right: outcomes[i][headline(metrics)]!.join(""),
      })),
    };
    return scores;
  } finally {
    log.close();
  }
}

/** The measure that the literature gives for a task. */
export function headlineOf({ metrics }: TaskScore): Metric {
  return metrics[headline(metrics)]!;
}

/** What one model does otherwise than another. */
export interface Difference {
  /** The perplexity of each text over that of the other model. */
  readonly texts: readonly Estimate[];
  /** Share of all questions that are answered rightly, minus that of the other model. */
  readonly tasks: Estimate;
}

/** @returns null where one of them has no more than means. */
export function differenceFrom(first: Scores, other: Scores): Difference | null {
  const outcomes = ({ tasks }: Scores) => {
    const words = tasks.map(({ right }) => right);
    return words.includes(undefined) ? null : [...words.join("")].map(Number);
  };
  const [before, after] = [outcomes(first), outcomes(other)];
  if (before === null || after === null) return null;
  return {
    texts: first.texts.map(({ windowNll }, i) =>
      perplexityRatio(windowNll!, other.texts[i].windowNll!)
    ),
    tasks: pairedDifference(before, after),
  };
}
