import type { RunRecord } from "@lopper/run";
import { samplesOf } from "@lopper/search";
import { type Html, html } from "./html.ts";
import { drawPlot } from "./plot.ts";
import { SIGN_PATHS } from "./signs.ts";

/** A run's curve: rise of the perplexity over its dense model, in per cent, against the ratio. */
export interface Curve {
  readonly name: string;
  readonly points: readonly { readonly ratio: number; readonly rise: number }[];
  /** Whether there is more than both ends. */
  readonly measured: boolean;
}

/** On the held-out text, where it was measured after every step, else of both ends. */
export function heldOutCurve(name: string, record: RunRecord): Curve {
  const { dense, pruned } = record.perplexity.heldOut;
  const steps = record.frontier.flatMap(({ ratio, heldOut }) =>
    heldOut === null ? [] : [{ ratio, perplexity: heldOut }]
  );
  const end = { ratio: record.ratio, perplexity: pruned };
  return curve(name, dense, steps.length > 0 ? steps : [end], steps.length > 0);
}

/** On the calibration text for blocks: after every step that was scored on it, and at the end. */
export function calibrationCurve(name: string, record: RunRecord): Curve {
  const { dense, pruned } = record.perplexity.calibration;
  const { block, width } = record.calibrationDigest;
  const steps = record.frontier.filter(({ stage }) =>
    samplesOf(stage) === "block" || block === width
  );
  const ended = steps.length > 0 && steps.length === record.frontier.length;
  const end = { ratio: record.ratio, perplexity: pruned };
  return curve(name, dense, ended ? steps : [...steps, end], steps.length > 0);
}

function curve(
  name: string,
  dense: number,
  points: readonly { readonly ratio: number; readonly perplexity: number }[],
  measured: boolean,
): Curve {
  const rises = points
    .map(({ ratio, perplexity }) => ({ ratio, rise: (perplexity / dense - 1) * 100 }))
    .filter(({ rise }) => Number.isFinite(rise));
  return { name, points: [{ ratio: 0, rise: 0 }, ...rises], measured };
}

/**
 * Colours of runs, as the style sheet has them; with more runs they begin again, with another
 * shape.
 */
const COLOURS = 6;
const SHAPES = ["circle", "square", "triangle-up", "diamond", "cross"] as const;
const signOf = (i: number) => ({
  colour: `var(--run-${i % COLOURS})`,
  shape: SHAPES[i % SHAPES.length],
});

export function overlayPlot(
  curves: readonly Curve[],
  options: { readonly id: string; readonly title: string; readonly description: string },
): Promise<Html> {
  const most = Math.max(1, ...curves.flatMap(({ points }) => points.map(({ ratio }) => ratio)));
  const x = {
    field: "ratio",
    type: "quantitative",
    title: "parameters removed, %",
    scale: { nice: false, domain: [0, most * 1.03] },
    axis: { grid: false, tickCount: 6 },
  };
  const y = {
    field: "rise",
    type: "quantitative",
    title: null,
    scale: { padding: 8 },
    axis: { tickCount: 5, domain: false, ticks: false, minExtent: 34, format: "~g" },
  };
  const layer = curves.flatMap(({ points, measured }, i) => {
    const { colour, shape } = signOf(i);
    const data = { values: points };
    return [
      {
        data,
        mark: {
          type: "line",
          color: colour,
          strokeWidth: 1.5,
          ...(!measured && { strokeDash: [4, 4] }),
        },
        encoding: { x, y },
      },
      {
        data: { values: points.slice(1) },
        mark: { type: "point", filled: true, opacity: 1, size: 40, color: colour, shape },
        encoding: { x, y },
      },
    ];
  });
  return drawPlot({ ...options, spec: { height: 240, layer } });
}

/** The sign of each run. */
export function overlayLegend(names: readonly string[]): Html {
  return html`<ul class="legend" aria-label="Runs">${
    names.map((name, i) => {
      const { colour, shape } = signOf(i);
      return html`<li><svg viewBox="-6 -6 12 12" width="12" height="12" aria-hidden="true"><path fill="${colour}" d="${
        SIGN_PATHS[shape]
      }"/></svg> ${name}</li>`;
    })
  }</ul>`;
}
