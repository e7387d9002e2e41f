import { kindOfChanges, samplesOf } from "@lopper/search";
import type { RunRecord } from "@lopper/run";
import { type Html, html } from "./html.ts";
import { drawPlot } from "./plot.ts";
import { SIGN_PATHS } from "./signs.ts";

/** A point of a frontier: the dense model, or what a step left. */
export interface FrontierPoint {
  /** Published pruning ratio, in per cent. */
  readonly ratio: number;
  readonly perplexity: number;
  /**
   * What the step took, by `kindOfChanges`; "dense" and "result" where the curve begins and ends.
   */
  readonly kind: string;
  /** Points with the same name are joined: they were measured on the same passages. */
  readonly curve: string;
}

interface PointSign {
  readonly shape: keyof typeof SIGN_PATHS;
  readonly label: string;
}

/** Signs of the points by what was taken, as `kindOfChanges` has it. */
const SIGNS: Readonly<Record<string, PointSign>> = {
  dense: { shape: "circle", label: "dense model" },
  attention: { shape: "square", label: "an attention block went" },
  mlp: { shape: "diamond", label: "an MLP block went" },
  channels: { shape: "triangle-up", label: "MLP channels went" },
  experts: { shape: "triangle-up", label: "experts went" },
  "all experts": { shape: "triangle-up", label: "experts of all layers went" },
  kvGroups: { shape: "cross", label: "a KV group went" },
  layer: { shape: "square", label: "a layer went" },
  "all channels": { shape: "triangle-up", label: "channels of all layers went" },
  "all kvGroups": { shape: "cross", label: "heads of all layers went" },
  result: { shape: "circle", label: "result" },
};

function signOf(kind: string): PointSign {
  return SIGNS[kind] ?? { shape: "circle", label: `${kind} went` };
}

/** The kinds of the points that are there: those that are known first. */
function kindsOf(points: readonly FrontierPoint[]): readonly string[] {
  const there = new Set(points.map(({ kind }) => kind));
  const known = Object.keys(SIGNS).filter((kind) => there.has(kind));
  return [...new Set([...known, ...there])];
}

/**
 * Perplexity on the calibration text: of the steps on the block samples, then of those on the
 * samples for channels and heads, which is a curve of its own where these are another text.
 */
export function calibrationPoints(record: RunRecord): readonly FrontierPoint[] {
  const { block, width } = record.calibrationDigest;
  const points = record.frontier.map(({ ratio, perplexity, changes, stage }): FrontierPoint => {
    const onBlock = samplesOf(stage) === "block" || block === width;
    return { ratio, perplexity, kind: kindOfChanges(changes), curve: onBlock ? "block" : "width" };
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

/**
 * Perplexity on the held-out text after every step, or of both ends where only these were measured.
 */
export function heldOutPoints(record: RunRecord): readonly FrontierPoint[] {
  const { dense, pruned } = record.perplexity.heldOut;
  const steps = record.frontier.flatMap(({ ratio, heldOut, changes }): FrontierPoint[] =>
    heldOut === null
      ? []
      : [{ ratio, perplexity: heldOut, kind: kindOfChanges(changes), curve: "steps" }]
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
  const kinds = kindsOf(points);
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
            scale: { domain: kinds, range: kinds.map((kind) => signOf(kind).shape) },
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
  const kinds = kindsOf(points);
  return html`<ul class="legend" aria-label="Signs">${
    kinds.map((kind) =>
      html`<li><svg viewBox="-6 -6 12 12" width="12" height="12" aria-hidden="true"><path class="${
        kind === "dense" ? "open" : "sign"
      }" d="${SIGN_PATHS[signOf(kind).shape]}"/></svg> ${signOf(kind).label}</li>`
    )
  }</ul>`;
}
