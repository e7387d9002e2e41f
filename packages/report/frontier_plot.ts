import type { FrontierStep } from "@lopper/search";
import type { RunRecord } from "@lopper/run";
import { type Html, html } from "./html.ts";
import { drawPlot } from "./plot.ts";
import { SIGN_PATHS } from "./signs.ts";
import { samplesOf } from "./stage.ts";

/** A point of a frontier: the dense model, or what a step left. */
export interface FrontierPoint {
  /** Published pruning ratio, in per cent. */
  readonly ratio: number;
  readonly perplexity: number;
  /** What the step took, or where the curve begins or ends. */
  readonly kind: FrontierStep["kind"] | "dense" | "result";
  /** Points with the same name are joined: they were measured on the same passages. */
  readonly curve: string;
}

/** Shape of the points by what was taken. */
const SHAPES = {
  dense: { shape: "circle", label: "dense model" },
  attention: { shape: "square", label: "an attention block went" },
  mlp: { shape: "diamond", label: "an MLP block went" },
  mlp_channels: { shape: "triangle-up", label: "MLP channels went" },
  attention_heads: { shape: "cross", label: "a KV group went" },
  layer: { shape: "square", label: "a layer went" },
  all_mlp_channels: { shape: "triangle-up", label: "channels of all layers went" },
  all_attention_heads: { shape: "cross", label: "heads of all layers went" },
  result: { shape: "circle", label: "result" },
} as const satisfies Record<FrontierPoint["kind"], { shape: string; label: string }>;

/**
 * Perplexity on the calibration text: of the steps on the block samples, then of those on the samples for channels and
 * heads, which is a curve of its own where these are another text.
 */
export function calibrationPoints(record: RunRecord): readonly FrontierPoint[] {
  const { block, width } = record.calibrationDigest;
  const points = record.frontier.map(({ ratio, perplexity, kind, stage }): FrontierPoint => {
    const onBlock = samplesOf(stage) === "block" || block === width;
    return { ratio, perplexity, kind, curve: onBlock ? "block" : "width" };
  });
  return finite([
    { ratio: 0, perplexity: record.perplexity.calibration.dense, kind: "dense", curve: "block" },
    ...points,
    ...(points.length === 0 || points.at(-1)?.curve === "block" && !endsInSwap(record) ? [] : [
      {
        ratio: record.ratio,
        perplexity: record.perplexity.calibration.pruned,
        kind: "result",
        curve: "end",
      } as const,
    ]),
  ]);
}

/** Perplexity on the held-out text after every step, or of both ends where only these were measured. */
export function heldOutPoints(record: RunRecord): readonly FrontierPoint[] {
  const { dense, pruned } = record.perplexity.heldOut;
  const steps = record.frontier.flatMap(({ ratio, heldOut, kind }): FrontierPoint[] =>
    heldOut === null ? [] : [{ ratio, perplexity: heldOut, kind, curve: "steps" }]
  );
  const start: FrontierPoint = { ratio: 0, perplexity: dense, kind: "dense", curve: "steps" };
  const end: FrontierPoint = {
    ratio: record.ratio,
    perplexity: pruned,
    kind: "result",
    curve: "steps",
  };
  if (steps.length === 0) return finite([start, end]);
  return finite([start, ...steps, ...(endsInSwap(record) ? [{ ...end, curve: "end" }] : [])]);
}

/** Whether the result is another than what the last step left. */
function endsInSwap({ swaps, steps }: RunRecord): boolean {
  return swaps.some((phase) => phase.steps === steps && phase.kept.length > 0);
}

function finite(points: readonly FrontierPoint[]): readonly FrontierPoint[] {
  return points.filter(({ perplexity }) => Number.isFinite(perplexity));
}

export interface FrontierPlotOptions {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  /** Only ends were measured: the line between them is a guess, and drawn as one. */
  readonly dashed?: boolean;
}

export function frontierPlot(
  points: readonly FrontierPoint[],
  { id, title, description, dashed = false }: FrontierPlotOptions,
): Promise<Html> {
  const kinds = Object.keys(SHAPES) as FrontierPoint["kind"][];
  const values = points.map(({ kind, ...point }) => ({ ...point, kind }));
  const x = {
    field: "ratio",
    type: "quantitative",
    title: "parameters removed, %",
    scale: { nice: false, domain: [0, Math.max(1, ...points.map(({ ratio }) => ratio)) * 1.03] },
    axis: { grid: false, tickCount: 6 },
  };
  const y = {
    field: "perplexity",
    type: "quantitative",
    title: null,
    scale: { zero: false, padding: 8 },
    axis: { tickCount: 5, domain: false, ticks: false, minExtent: 34 },
  };
  const spec = {
    height: 210,
    data: { values },
    layer: [
      {
        mark: {
          type: "line",
          color: "var(--accent)",
          strokeWidth: 1.5,
          ...(dashed && { strokeDash: [4, 4] }),
        },
        encoding: { x, y, detail: { field: "curve" } },
      },
      {
        mark: { type: "point", filled: true, size: 48, opacity: 1, strokeWidth: 1.5 },
        encoding: {
          x,
          y,
          shape: {
            field: "kind",
            type: "nominal",
            scale: { domain: kinds, range: kinds.map((kind) => SHAPES[kind].shape) },
            legend: null,
          },
          fill: {
            condition: { test: "datum.kind === 'dense'", value: "var(--paper)" },
            value: "var(--accent)",
          },
          stroke: { value: "var(--accent)" },
        },
      },
    ],
  };
  return drawPlot({ id, title, description, spec });
}

/** Signs for the kinds of points that are there. */
export function frontierLegend(points: readonly FrontierPoint[]): Html {
  const kinds = (Object.keys(SHAPES) as FrontierPoint["kind"][])
    .filter((kind) => points.some((point) => point.kind === kind));
  return html`<ul class="legend" aria-label="Signs">${
    kinds.map((kind) =>
      html`<li><svg viewBox="-6 -6 12 12" width="12" height="12" aria-hidden="true"><path class="${
        kind === "dense" ? "open" : "sign"
      }" d="${SIGN_PATHS[SHAPES[kind].shape]}"/></svg> ${SHAPES[kind].label}</li>`
    )
  }</ul>`;
}
