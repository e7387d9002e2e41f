import { formatBytes, formatChange, formatCount, formatPerplexity, plural } from "@lopper/core";
import type { Estimate, MetricName } from "@lopper/evaluation";
import type { AgainstFirst, ComparedModel, Comparison } from "./comparison.ts";
import { formatMetric, notes } from "../shared/measuring/evaluation_output.ts";
import { table } from "../shared/terminal/format.ts";

type Row = readonly string[];

/** A column for each model. Under a figure stands what it is beside the first model's. */
export function describeComparison(comparison: Comparison): string {
  const { models } = comparison;
  const rows = [
    rowOf(models, "", ({ model }) => model),
    ...sizeRows(models),
    ...speedRows(models),
    ...textRows(models),
    ...taskRows(models),
    ...predictionRows(models),
  ];
  const lines = [...explanations(comparison), ...notes(models).filter((line) => line !== "")];
  return [table(rows), "", ...lines].join("\n");
}

type Models = readonly ComparedModel[];

function rowOf(models: Models, what: string, cell: (model: ComparedModel) => string): Row {
  return [what, ...models.map(cell)];
}

/** What a model does otherwise than the first one, which has nothing there. */
function againstRow(models: Models, what: string, cell: (found: AgainstFirst) => string): Row {
  return rowOf(models, what, ({ againstFirst }) => againstFirst === null ? "" : cell(againstFirst));
}

/** A figure, and how far it is from the first model's. */
function changing(
  models: Models,
  what: string,
  of: (model: ComparedModel) => number,
  format: (n: number) => string,
): readonly Row[] {
  const [first] = models;
  return [
    rowOf(models, what, (model) => format(of(model))),
    rowOf(models, "", (model) => model === first ? "" : formatChange(of(first), of(model))),
  ];
}

function sizeRows(models: Models): readonly Row[] {
  const macs = "multiply-accumulates a token";
  return [
    ...changing(models, "parameters", ({ parameters }) => parameters, formatCount),
    ...changing(models, "weights", ({ bytes }) => bytes, formatBytes),
    ...changing(models, macs, ({ macsPerToken }) => macsPerToken, formatCount),
  ];
}

function speedRows(models: Models): readonly Row[] {
  if (models[0].speed === null) return [];
  const speed = (n: number) => `${n.toFixed(n < 100 ? 1 : 0)} tokens/s`;
  return [
    ...changing(models, "reading a prompt", (m) => m.speed!.prefillTokensPerSecond, speed),
    ...changing(models, "generating", (m) => m.speed!.decodeTokensPerSecond, speed),
    ...changing(models, "peak memory", (m) => m.speed!.peakResidentBytes, formatBytes),
  ];
}

function textRows(models: Models): readonly Row[] {
  return models[0].texts.flatMap(({ text }, i) => [
    rowOf(models, `${text}, perplexity`, ({ texts }) => formatPerplexity(texts[i].perplexity)),
    againstRow(models, "", ({ texts }) => formatRatio(texts[i].perplexityRatio)),
    rowOf(models, `${text}, bits per byte`, ({ texts }) => texts[i].bitsPerByte.toFixed(4)),
  ]);
}

function taskRows(models: Models): readonly Row[] {
  return models[0].tasks.flatMap(({ task, metrics }, i) =>
    (Object.keys(metrics) as MetricName[]).flatMap((name) => [
      rowOf(models, `${task}, ${name}`, ({ tasks }) => formatMetric(name, tasks[i].metrics[name]!)),
      againstRow(models, "", ({ tasks }) => formatDifference(name, tasks[i].differences[name]!)),
    ])
  );
}

function predictionRows(models: Models): readonly Row[] {
  return [
    againstRow(
      models,
      "KL divergence, nats a token",
      ({ predictions }) => predictions ? predictions.klDivergence.toFixed(4) : "—",
    ),
    againstRow(
      models,
      "same likeliest token",
      ({ predictions }) => predictions ? `${(100 * predictions.sameTop).toFixed(1)} %` : "—",
    ),
  ];
}

/** What the figures are, a line each. */
function explanations({ models, promptTokens, decodeTokens }: Comparison): readonly string[] {
  const [{ speed, backend: { engine, threads } }] = models;
  const lines = [
    "  below the first model's figures: the change, of tasks and perplexities with its 95 % confidence interval (paired)",
    `  multiply-accumulates: LM head included, mean over ${promptTokens} tokens`,
  ];
  if (speed !== null) {
    lines.push(
      `  speed: a prompt of ${promptTokens} tokens and ${decodeTokens} after it, ${engine}, ` +
        `${plural(threads, "thread")}, median of ${speed.prefillSeconds.length}; ` +
        "peak memory of a process that does nothing else",
    );
  }
  const predictions = models.flatMap(({ againstFirst }) => againstFirst?.predictions ?? []);
  if (predictions.length > 0) {
    const [{ text, positions }] = predictions;
    lines.push(`  predictions: after ${positions} tokens of ${text}, KL(first ‖ other)`);
  }
  if (predictions.length < models.length - 1) {
    lines.push("  —: it reads the text as other tokens than the first model");
  }
  return lines;
}

/** "×1.25 (1.20 to 1.30)". */
function formatRatio(ratio: Estimate | null): string {
  if (ratio === null) return "—";
  const { value, low, high } = ratio;
  const digits = (n: number) => n.toFixed(3);
  return `×${digits(value)}${
    low === null || high === null ? "" : ` (${digits(low)} to ${digits(high)})`
  }`;
}

/** In per cent points. */
function formatDifference(name: MetricName, difference: Estimate): string {
  if (name === "perplexity") return formatRatio(difference);
  const { value, low, high } = difference;
  return `${signed(value)}${
    low === null || high === null ? "" : ` (${signed(low)} to ${signed(high)})`
  }`;
}

function signed(share: number): string {
  return `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(2)}`;
}
