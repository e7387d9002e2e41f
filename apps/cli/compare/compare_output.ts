import type { Estimate, MetricName } from "@lopper/evaluation";
import type { AgainstFirst, ComparedModel, Comparison } from "./comparison.ts";
import { formatMetric, notes } from "../measuring/evaluation_output.ts";
import {
  formatBytes,
  formatChange,
  formatCount,
  formatPerplexity,
  table,
} from "../terminal/format.ts";

/** A column for each model. Under a figure stands what it is beside the first model's. */
export function describeComparison(comparison: Comparison): string {
  const { models, promptTokens, decodeTokens } = comparison;
  const [first] = models;
  const row = (what: string, cell: (model: ComparedModel) => string) => [what, ...models.map(cell)];
  const against = (what: string, cell: (found: AgainstFirst) => string) =>
    row(what, ({ againstFirst }) => againstFirst === null ? "" : cell(againstFirst));
  /** A figure, and how far it is from the first model's. */
  const changing = (
    what: string,
    of: (model: ComparedModel) => number,
    format: (n: number) => string,
  ) => [
    row(what, (model) => format(of(model))),
    row("", (model) => model === first ? "" : formatChange(of(first), of(model))),
  ];
  const rows: string[][] = [
    row("", ({ model }) => model),
    ...changing("parameters", ({ parameters }) => parameters, formatCount),
    ...changing("weights", ({ bytes }) => bytes, formatBytes),
    ...changing("multiply-accumulates a token", ({ macsPerToken }) => macsPerToken, formatCount),
  ];
  if (first.speed !== null) {
    const speed = (n: number) => `${n.toFixed(n < 100 ? 1 : 0)} tokens/s`;
    rows.push(
      ...changing("reading a prompt", (m) => m.speed!.prefillTokensPerSecond, speed),
      ...changing("generating", (m) => m.speed!.decodeTokensPerSecond, speed),
      ...changing("peak memory", (m) => m.speed!.peakResidentBytes, formatBytes),
    );
  }
  first.texts.forEach(({ text }, i) => {
    rows.push(
      row(`${text}, perplexity`, ({ texts }) => formatPerplexity(texts[i].perplexity)),
      against("", ({ texts }) => formatRatio(texts[i].perplexityRatio)),
      row(`${text}, bits per byte`, ({ texts }) => texts[i].bitsPerByte.toFixed(4)),
    );
  });
  first.tasks.forEach(({ task, metrics }, i) => {
    for (const name of Object.keys(metrics) as MetricName[]) {
      rows.push(
        row(`${task}, ${name}`, ({ tasks }) => formatMetric(name, tasks[i].metrics[name]!)),
        against("", ({ tasks }) => formatDifference(name, tasks[i].differences[name]!)),
      );
    }
  });
  rows.push(
    against(
      "KL divergence, nats a token",
      ({ predictions }) => predictions ? predictions.klDivergence.toFixed(4) : "—",
    ),
    against(
      "same likeliest token",
      ({ predictions }) => predictions ? `${(100 * predictions.sameTop).toFixed(1)} %` : "—",
    ),
  );
  const lines = [
    "  below the first model's figures: the change, of tasks and perplexities with its 95 % confidence interval (paired)",
    `  multiply-accumulates: LM head included, mean over ${promptTokens} tokens`,
  ];
  if (first.speed !== null) {
    const { engine, threads } = first.backend;
    lines.push(
      `  speed: a prompt of ${promptTokens} tokens and ${decodeTokens} after it, ${engine}, ${threads} ` +
        `thread${threads === 1 ? "" : "s"}, median of ${first.speed.prefillSeconds.length}; ` +
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
  return [table(rows), "", ...lines, ...notes(models).filter((line) => line !== "")].join("\n");
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
