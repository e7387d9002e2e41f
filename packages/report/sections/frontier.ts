import { formatChange, formatCount, formatPerplexity, plural } from "@lopper/core";
import { criterionOf } from "@lopper/importance";
import type { RunRecord } from "@lopper/run";
import { describeChanges, type FrontierStep, type SwapPhase } from "@lopper/search";
import {
  calibrationPoints,
  frontierLegend,
  frontierPlot,
  type FrontierPoint,
  heldOutPoints,
} from "../frontier_plot.ts";
import { type Html, html } from "../html.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";
import { folded, table } from "../table.ts";

/** Perplexity against ratio, step by step. */
export async function frontierSection({ record }: ReportRun): Promise<Section> {
  const place = { id: "frontier", title: "Perplexity on the way" };
  const heldOut = heldOutPoints(record);
  const heldFigure = await heldOutFigure(record, heldOut);
  if (record.frontier.length === 0) {
    const content = html`
      <p>The plan was applied without a search, so there are no steps between.</p><div
        class="pair">${heldFigure}</div>${frontierLegend(heldOut)}
    `;
    return { ...place, content };
  }
  const calibration = calibrationPoints(record);
  const { note } = criterionOf(record.flags.criterion);
  const broken = new Set(calibration.map(({ curve }) => curve)).size > 1;
  const content = html`
    <p>Every point is a step of the search. A run of a smaller ratio can be cut from this one without a search: <code>--plan DIR --ratio N</code>.</p>
    ${note !== null && html`
      <p class="note">${note[0].toUpperCase()}${note.slice(1)}.</p>
    `}
    <div
      class="pair">${heldFigure}<figure><figcaption>Calibration text</figcaption>${await calibrationPlot(
        record,
        calibration,
      )}</figure></div>
    ${record.swaps.map((phase) =>
      html`
        <p>${sentence(phase)}</p>
      `
    )}${frontierLegend([...heldOut, ...calibration])}
    ${broken &&
      html`
        <p
          class="note">On the calibration text, channels and heads are scored on other passages than blocks, so their curve is one of its own; the last point is the result on the passages of the blocks.</p>
      `}
    ${folded("The steps as a table", stepsTable(record))}
  `;
  return { ...place, content };
}

/** Whether the held-out text was measured after every step, and not only in the end. */
function isMeasuredOften({ frontier }: RunRecord): boolean {
  return frontier.some((step) => step.heldOut !== null);
}

async function heldOutFigure(
  record: RunRecord,
  points: readonly FrontierPoint[],
): Promise<Html> {
  const everyStep = isMeasuredOften(record);
  const { dense, pruned } = record.perplexity.heldOut;
  const plot = await frontierPlot(points, {
    id: "held-out",
    title: "Perplexity on the held-out text",
    description: `From ${formatPerplexity(dense)} of the dense model to ${
      formatPerplexity(pruned)
    } at ${record.ratio.toFixed(2)} %. ${
      everyStep ? "The table below has every step." : "Only both ends were measured."
    }`,
    dashed: !everyStep,
  });
  return html`<figure><figcaption>Held-out text${
    !everyStep &&
    html`
      <span
        class="note">only the ends were measured; <code>--held-out FILE</code> measures every step</span>
    `
  }</figcaption>${plot}</figure>`;
}

function calibrationPlot(record: RunRecord, points: readonly FrontierPoint[]): Promise<Html> {
  const { dense, pruned } = record.perplexity.calibration;
  return frontierPlot(points, {
    id: "calibration",
    title: "Perplexity on the calibration text",
    description: `From ${formatPerplexity(dense)} of the dense model to ${
      formatPerplexity(pruned)
    } at ${record.ratio.toFixed(2)} %. The table below has every step.`,
  });
}

function stepsTable(record: RunRecord): Html {
  const everyStep = isMeasuredOften(record);
  const { dense } = record.perplexity.heldOut;
  const measured = ({ heldOut }: FrontierStep) =>
    heldOut === null ? ["–", "–"] : [formatPerplexity(heldOut), formatChange(dense, heldOut)];
  return table({
    caption: "Every step of the search",
    head: [
      "step",
      "what went",
      "removed",
      "parameters left",
      "calibration",
      ...(everyStep ? ["held-out", "over dense"] : []),
    ],
    words: 2,
    rows: record.frontier.map((step, i) => [
      i + 1,
      describeChanges(step.changes),
      `${step.ratio.toFixed(2)} %`,
      formatCount(step.parameters),
      formatPerplexity(step.perplexity),
      ...(everyStep ? measured(step) : []),
    ]),
  });
}

function sentence({ steps, tried, kept, perplexity, blockTokens }: SwapPhase): string {
  const { before, after } = perplexity;
  const what = `After step ${steps}, ${plural(tried, "swap")} of single blocks and groups ${
    tried === 1 ? "was" : "were"
  } tried and ${kept.length} kept, for ${formatCount(Math.round(blockTokens))} block-tokens`;
  if (kept.length === 0 || before === null || after === null) return `${what}.`;
  return `${what}: perplexity on the calibration text went from ${formatPerplexity(before)} to ${
    formatPerplexity(after)
  } (${formatChange(before, after)}).`;
}
