import { formatCount, formatPerplexity } from "@lopper/core";
import {
  headline,
  type Metric,
  type MetricName,
  type ModelEvaluation,
  PAPER_TASKS,
  type TaskEvaluation,
} from "@lopper/evaluation";
import type { BosRule } from "@lopper/tokenizers";
import { table } from "../terminal/format.ts";

/** A column for each model, a row for each figure. */
export function describeEvaluation(models: readonly ModelEvaluation[]): string {
  const [first] = models;
  const rows: string[][] = [
    ["", ...models.map(({ model }) => model)],
    ["parameters", ...models.map(({ parameters }) => formatCount(parameters))],
  ];
  first.texts.forEach(({ text }, i) => {
    rows.push(
      [`${text}, perplexity`, ...models.map(({ texts }) => formatPerplexity(texts[i].perplexity))],
      [`${text}, bits per byte`, ...models.map(({ texts }) => texts[i].bitsPerByte.toFixed(4))],
    );
  });
  first.tasks.forEach(({ task, metrics }, i) => {
    for (const name of Object.keys(metrics) as MetricName[]) {
      rows.push([
        `${task}, ${name}`,
        ...models.map(({ tasks }) => formatMetric(name, tasks[i].metrics[name]!)),
      ]);
    }
  });
  const averages = models.map(({ tasks }) => paperAverage(tasks));
  if (averages.every((average) => average !== null)) {
    rows.push(["average of the paper's five", ...averages.map((a) => (100 * a!).toFixed(2))]);
  }
  return [table(rows), ...notes(models)].join("\n");
}

/** Shares in per cent. */
export function formatMetric(name: MetricName, { value, stderr }: Metric): string {
  const [text, error] = name === "perplexity"
    ? [formatPerplexity(value), stderr?.toFixed(2)]
    : [(100 * value).toFixed(2), stderr === null ? undefined : (100 * stderr).toFixed(2)];
  return error === undefined ? text : `${text} ±${error.padStart(5)}`;
}

/** Of the figures that BlockPruner's and MultiPruner's tables average. */
function paperAverage(tasks: readonly TaskEvaluation[]): number | null {
  const values = PAPER_TASKS.map((name) => {
    const metrics = tasks.find(({ task }) => task === name)?.metrics;
    return metrics?.[headline(metrics)]?.value;
  });
  if (values.some((value) => value === undefined)) return null;
  return values.reduce<number>((sum, value) => sum + value!, 0) / values.length;
}

/** Where the tokenizer of a model has tokens for it. */
const BOS_SAID: Readonly<Record<BosRule, string>> = {
  each: "each window begins with what the tokenizer puts before a text (BOS)",
  first: "only the first window begins with what the tokenizer puts before a text (BOS)",
  none: "without what the tokenizer puts before a text (BOS)",
};

export function notes(models: readonly ModelEvaluation[]): readonly string[] {
  const [{ texts, tasks }] = models;
  const lines: string[] = [];
  if (texts.length > 0) {
    const lengths = [...new Set(models.flatMap((m) => m.texts.map(({ seqLen }) => seqLen)))];
    lines.push(`  windows of ${lengths.join(" and ")} tokens, without overlap`);
  }
  const samples = tasks.filter(({ questions, available }) => questions < available);
  if (samples.length > 0) {
    const list = samples.map(({ task, questions, available }) =>
      `${task} ${questions} of ${available}`
    );
    lines.push(`  a sample, the first questions only: ${list.join(", ")}`);
  }
  if (models.some(({ startTokens }) => startTokens > 0)) lines.push(`  ${BOS_SAID[models[0].bos]}`);
  return lines.length === 0 ? [] : ["", ...lines];
}
