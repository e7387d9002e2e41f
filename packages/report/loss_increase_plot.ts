import type { BlockLossIncrease } from "./block_loss_increase.ts";
import type { Html } from "./html.ts";
import { drawPlot } from "./plot.ts";

/** Nats per token up to which the axis is even; beyond, it grows by factors. */
const EVEN = 0.01;
const TICKS = [-1, -0.1, -0.03, -0.01, 0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];

/** Units for bars and labels together, and for the longest label. */
const WIDTH = 322;
const LABEL = 84;

export interface LossIncreaseBar extends BlockLossIncrease {
  /** Whether the run took it, in this step or a later one. */
  readonly taken: boolean;
}

export interface LossIncreasePlotOptions {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly layers: number;
  /** Smallest and largest increase among the plots that stand beside each other. */
  readonly extent: readonly [number, number];
}

/** Loss increase of one kind of candidate by layer, as bars from the left. */
export function lossIncreasePlot(
  bars: readonly LossIncreaseBar[],
  { id, title, description, layers, extent }: LossIncreasePlotOptions,
): Promise<Html> {
  const domain = [Math.min(0, extent[0]), Math.max(EVEN, extent[1])];
  const byLayer = new Map(bars.map((bar) => [bar.layer, bar]));
  const values = Array.from({ length: layers }, (_, layer) => {
    const bar = byLayer.get(layer);
    return {
      layer,
      increase: bar?.increase ?? 0,
      label: bar ? `${signed(bar.increase)}${bar.taken ? ", removed" : ""}` : "not scored",
      fill: bar?.taken ? "var(--accent)" : "var(--bar)",
      scored: bar !== undefined,
    };
  });
  const y = {
    field: "layer",
    type: "ordinal",
    title: null,
    scale: { padding: 0.25 },
    axis: { domain: false, ticks: false, labelOverlap: false, labelPadding: 6 },
  };
  const x = {
    field: "increase",
    type: "quantitative",
    title: "loss increase, nats per token",
    scale: { type: "symlog", constant: EVEN, domain, nice: false, range: [0, WIDTH - LABEL] },
    axis: {
      values: TICKS.filter((tick) => tick >= domain[0] && tick <= domain[1]),
      format: "~g",
      ticks: false,
    },
  };
  const spec = {
    height: { step: 17 },
    autosize: { type: "pad" },
    width: WIDTH,
    data: { values },
    layer: [
      {
        transform: [{ filter: "datum.scored" }],
        mark: { type: "bar" },
        encoding: { x, y, fill: { field: "fill", type: "nominal", scale: null } },
      },
      {
        mark: { type: "text", align: "left", baseline: "middle", dx: 4, fontSize: 10 },
        encoding: {
          x: { ...x, field: "end" },
          y,
          text: { field: "label" },
          fill: { value: "var(--muted)" },
        },
        transform: [{ calculate: "max(datum.increase, 0)", as: "end" }],
      },
    ],
  };
  return drawPlot({ id, title, description, spec });
}

export function signed(nats: number): string {
  const digits = Math.abs(nats) < 0.1 ? 4 : 3;
  return `${nats < 0 ? "−" : "+"}${Math.abs(nats).toFixed(digits)}`;
}
