import { formatCount, formatSeconds, plural } from "@lopper/core";
import { type History, type SideWork, sideWork, stageLabel, sumOfCosts } from "@lopper/search";
import { type Content, html } from "../html.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";
import { type StageCost, stageCosts } from "../stage_costs.ts";
import { table } from "../table.ts";

const OVERHEAD: Readonly<Record<SideWork, string>> = {
  rankings: "rankings of channels and heads",
  swaps: "swaps",
  refits: "refits",
};

/** What the search took of the machine. */
export function costSection({ record, history }: ReportRun): Section {
  const { blockTokens, backend, wallSeconds } = record;
  const machine = `${formatSeconds(wallSeconds)} on ${backend.name} (${backend.engine}, ${
    plural(backend.threads, "thread")
  })`;
  const place = { id: "cost", title: "What it cost" };
  if (!history || history.steps.length === 0) {
    return { ...place, content: html`<p>No search: ${machine}, from start to end.</p>` };
  }
  const costs = stageCosts(history);
  const content = html`
    <p>${plural(record.steps, "step")} with ${formatCount(
      together(costs).scored,
    )} evaluations of candidates: ${formatCount(
      Math.round(blockTokens.spent),
    )} block-tokens, ${percent(
      blockTokens,
    )} of full forward passes for every candidate. The whole run took ${machine}.</p>
    ${table({
      caption: "Cost by stage",
      head: [
        "stage",
        "steps",
        "candidates scored",
        "passages run",
        "block-tokens",
        "of full passes",
        "time",
      ],
      rows: [
        ...costs.map((cost) => stageRow(stageLabel(cost.stage), cost)),
        ...(costs.length > 1 ? [stageRow("together", together(costs))] : []),
        ...overheadRows(history, blockTokens.overhead.predictions),
      ],
    })}<p
      class="note">Block-tokens are blocks run × tokens, the head by its share of multiply-accumulates: a number that does not depend on the machine.</p>
  `;
  return { ...place, content };
}

type Amounts = Omit<StageCost, "stage">;

function together(costs: readonly Amounts[]): Amounts {
  const sum = (of: (cost: Amounts) => number) => costs.reduce((total, cost) => total + of(cost), 0);
  return {
    steps: sum(({ steps }) => steps),
    candidates: sum(({ candidates }) => candidates),
    scored: sum(({ scored }) => scored),
    passages: sum(({ passages }) => passages),
    blockTokens: {
      spent: sum(({ blockTokens }) => blockTokens.spent),
      full: sum(({ blockTokens }) => blockTokens.full),
    },
    seconds: sum(({ seconds }) => seconds),
  };
}

function stageRow(name: string, cost: Amounts): readonly Content[] {
  return [
    name,
    cost.steps,
    `${formatCount(cost.scored)} of ${formatCount(cost.candidates)}`,
    formatCount(cost.passages),
    formatCount(Math.round(cost.blockTokens.spent)),
    percent(cost.blockTokens),
    formatSeconds(cost.seconds),
  ];
}

/** What was done beside the scores: no part of it scores candidates. */
function overheadRows(history: History, predictions: number): readonly (readonly Content[])[] {
  const rows: (readonly Content[])[] = [];
  const add = (what: string, passages: Content, blockTokens: number, time: string) =>
    rows.push([what, "–", "–", passages, formatCount(Math.round(blockTokens)), "–", time]);
  if (predictions > 0) add("the dense model's predictions, to judge by", "–", predictions, "–");
  for (const [work, { blockTokens, seconds }] of Object.entries(sideWork(history))) {
    if (blockTokens > 0) add(OVERHEAD[work as SideWork], "–", blockTokens, formatSeconds(seconds));
  }
  const heldOut = history.measures.filter(({ on }) => on === "held_out");
  if (heldOut.length > 0) {
    const passages = heldOut.reduce((total, { nll }) => total + nll.length, 0);
    const { blockTokens, seconds } = heldOut.map(({ cost }) => cost).reduce(sumOfCosts);
    const time = formatSeconds(seconds);
    add("held-out text after every step", formatCount(passages), blockTokens, time);
  }
  return rows;
}

function percent({ spent, full }: { readonly spent: number; readonly full: number }): string {
  return full > 0 ? `${(100 * spent / full).toFixed(0)} %` : "–";
}
