import { formatChange, formatPerplexity, mean, plural } from "@lopper/core";
import { PUBLISHED_RANKING } from "@lopper/importance";
import { type BlockRefit, kindLabel, type LocalRefit, unitsLabel } from "@lopper/search";
import type { StageRanking } from "@lopper/run";
import { signed } from "../loss_increase_plot.ts";
import { type Html, html } from "../html.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";
import { folded, table } from "../table.ts";

/**
 * By what parts of blocks were ranked, and what was fitted anew afterwards. Null for a run that did
 * neither.
 */
export function recoverySection({ record, history }: ReportRun): Section | null {
  const { rankings, recovery } = record;
  if (rankings.length === 0 && recovery === null) return null;
  const trials = rankings.filter(({ tried }) => Object.keys(tried).length > 0);
  const lines = history?.refits ?? [];
  const refits = lines.filter((line) => line.type === "refit");
  const local = lines.filter((line) => line.type === "local");
  const content = html`
    ${rankings.map((ranking) => html`<p>${sentence(ranking)}</p>`)}${trials.length > 0 && table({
      caption: "Perplexity of a trial cut, validation text",
      head: ["ranking", ...trials.map(({ dimension }) => unitsLabel(dimension))],
      rows: [...new Set(trials.flatMap(({ tried }) => Object.keys(tried)))].map((name) => [
        name,
        ...trials.map(({ tried }) => name in tried ? formatPerplexity(tried[name] ?? NaN) : "–"),
      ]),
    })}${recovery && html`<p>${verdict(recovery)}</p>`}${local.length > 0 &&
      folded("The local refits as a table", localTable(local))}${refits.length > 0 &&
      folded("The refits along the stream as a table", refitTable(refits))}
  `;
  return { id: "recovery", title: "Ranking and recovery", content };
}

function sentence({ dimension, ranking, tried }: StageRanking): string {
  const published = ranking === PUBLISHED_RANKING.name;
  const by = published ? PUBLISHED_RANKING.goesBy : ranking;
  const trial = Object.keys(tried).length > 0 ? ", which a trial cut hurt least" : "";
  return `${unitsLabel(dimension)} went by ${by}${published ? "" : trial}.`;
}

function verdict(
  { tried, helped, kept, perplexity }: NonNullable<ReportRun["record"]["recovery"]>,
): Html {
  const { before, after } = perplexity;
  const what = html`Of ${plural(tried, "block output")} that ${
    tried === 1 ? "was" : "were"
  } fitted to the dense model anew, ${String(helped)} helped by ${
    helped === 1 ? "itself" : "themselves"
  }`;
  if (before === null || after === null) return html`${what}; nothing was changed.`;
  return html`${what}, and ${
    kept > 0 ? `${kept} stayed` : "none stayed"
  }: perplexity on text that chose nothing went from ${formatPerplexity(before)} to ${
    formatPerplexity(after)
  } (${formatChange(before, after)}). No parameters were added.`;
}

function localTable(refits: readonly LocalRefit[]): Html {
  return table({
    caption: "Fits of all narrowed blocks to the dense ones, each against the best before it",
    head: ["ridge", "projections", "change, nats per token", "kept"],
    rows: refits.map(({ lambda, projections, before, after, kept }) => [
      lambda,
      projections,
      signed(mean(after) - mean(before)),
      kept ? "yes" : "no",
    ]),
  });
}

function refitTable(refits: readonly BlockRefit[]): Html {
  return table({
    caption: "Refits along the stream, block by block",
    head: ["layer", "block", "removed blocks behind it", "ridge", "change, nats per token", "kept"],
    words: 2,
    rows: refits.map(({ layer, kind, folded, lambda, before, after, kept }) => [
      layer,
      kindLabel(kind),
      folded,
      lambda,
      signed(mean(after) - mean(before)),
      kept ? "yes" : "no",
    ]),
  });
}
