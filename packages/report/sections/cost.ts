import { formatCount, formatSeconds } from "@lopper/core";
import { type SideWork, sideWork, STAGE_LABELS } from "@lopper/search";
import { html } from "../html.ts";
import { plural } from "../removed.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";
import { stageCosts } from "../stage_costs.ts";
import { table } from "../table.ts";

const BESIDE: Readonly<Record<SideWork, string>> = {
  orders: "orders of channels and heads",
  swaps: "swaps",
  repairs: "repairs",
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
  const sum = (of: (cost: typeof costs[number]) => number) =>
    costs.reduce((total, cost) => total + of(cost), 0);
  const row = (name: string, cost: Omit<typeof costs[number], "stage">) => [
    name,
    cost.steps,
    `${formatCount(cost.scored)} of ${formatCount(cost.candidates)}`,
    formatCount(cost.passages),
    formatCount(Math.round(cost.blockTokens.spent)),
    percent(cost.blockTokens),
    formatSeconds(cost.seconds),
  ];
  const predictions = blockTokens.beside.predictions;
  const heldOut = history.measures.filter(({ on }) => on === "held_out");
  const content = html`
    <p>${plural(record.steps, "step")} with ${formatCount(
      sum(({ scored }) => scored),
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
        ...costs.map((cost) => row(STAGE_LABELS[cost.stage], cost)),
        ...(costs.length > 1
          ? [row("together", {
            steps: sum(({ steps }) => steps),
            candidates: sum(({ candidates }) => candidates),
            scored: sum(({ scored }) => scored),
            passages: sum(({ passages }) => passages),
            blockTokens: {
              spent: sum(({ blockTokens }) => blockTokens.spent),
              full: sum(({ blockTokens }) => blockTokens.full),
            },
            seconds: sum(({ seconds }) => seconds),
          })]
          : []),
        ...(predictions > 0
          ? [[
            "the dense model's predictions, to judge by",
            ...["–", "–", "–"],
            formatCount(Math.round(predictions)),
            ...["–", "–"],
          ]]
          : []),
        ...Object.entries(sideWork(history)).filter(([, { blockTokens }]) => blockTokens > 0)
          .map(([work, { blockTokens, seconds }]) => [
            BESIDE[work as SideWork],
            ...["–", "–", "–"],
            formatCount(Math.round(blockTokens)),
            "–",
            formatSeconds(seconds),
          ]),
        ...(heldOut.length > 0
          ? [[
            "held-out text after every step",
            "–",
            "–",
            formatCount(heldOut.reduce((total, { nll }) => total + nll.length, 0)),
            formatCount(
              Math.round(heldOut.reduce((total, { cost }) => total + cost.blockTokens, 0)),
            ),
            "–",
            formatSeconds(heldOut.reduce((total, { cost }) => total + cost.seconds, 0)),
          ]]
          : []),
      ],
    })}<p
      class="note">Block-tokens are blocks run × tokens, the head by its share of multiply-accumulates: a number that does not depend on the machine.</p>
  `;
  return { ...place, content };
}

function percent({ spent, full }: { readonly spent: number; readonly full: number }): string {
  return full > 0 ? `${(100 * spent / full).toFixed(0)} %` : "–";
}
