import type { LossIncrease } from "@lopper/evaluation";
import { signed } from "./loss_increase_plot.ts";
import type { Html } from "./html.ts";
import { drawPlot, namesAxis, zeroLine } from "./plot.ts";

export interface TextPlotOptions {
  readonly id: string;
  readonly title: string;
  readonly description: string;
}

/** Change of the loss of every passage as a stroke on a line for its text. */
export function passagesPlot(
  texts: readonly { readonly name: string; readonly passages: LossIncrease["passages"] }[],
  options: TextPlotOptions,
): Promise<Html> {
  const values = texts.flatMap(({ name, passages }) =>
    passages
      .map(({ dense, pruned }) => ({ name, change: pruned - dense }))
      .filter(({ change }) => Number.isFinite(change))
  );
  const spec = {
    height: { step: 44 },
    autosize: { type: "pad" },
    width: 270,
    data: { values },
    layer: [
      zeroLine({ type: "quantitative" }),
      {
        mark: { type: "tick", thickness: 1.5, height: 22, color: "var(--accent)", opacity: 0.8 },
        encoding: {
          x: {
            field: "change",
            type: "quantitative",
            title: "change of the loss, nats per token",
            axis: { tickCount: 5 },
          },
          y: namesAxis("name"),
        },
      },
    ],
  };
  return drawPlot({ ...options, spec });
}

/** Kinds of tokens that are fewer than this share say little. */
const RARE = 0.01;

export function isRare(count: number, tokens: LossIncrease["tokens"]): boolean {
  return count < RARE * tokens.reduce((sum, kind) => sum + kind.count, 0);
}

/** Change of the loss by kind of token, as bars. */
export function tokensPlot(
  tokens: LossIncrease["tokens"],
  options: TextPlotOptions,
): Promise<Html> {
  const values = tokens
    .map(({ kind, count, dense, pruned }) => ({ kind, count, change: pruned - dense }))
    .filter(({ change }) => Number.isFinite(change))
    .sort((a, b) => b.change - a.change)
    .map(({ kind, count, change }) => ({
      kind,
      change,
      end: Math.max(change, 0),
      label: isRare(count, tokens) ? `${signed(change)}, ${count} only` : signed(change),
      fill: isRare(count, tokens) ? "var(--bar)" : "var(--accent)",
    }));
  const most = Math.max(0.01, ...values.map(({ change }) => change));
  const least = Math.min(0, ...values.map(({ change }) => change));
  const y = namesAxis("kind");
  const x = {
    type: "quantitative",
    title: "change of the loss, nats per token",
    scale: { domain: [least, most], nice: false, range: [0, 128] },
    axis: { tickCount: 4 },
  };
  const spec = {
    height: { step: 22 },
    autosize: { type: "pad" },
    width: 196,
    data: { values },
    layer: [
      {
        mark: { type: "bar", height: { band: 0.7 } },
        encoding: {
          x: { ...x, field: "change" },
          y,
          fill: { field: "fill", type: "nominal", scale: null },
        },
      },
      {
        mark: { type: "text", align: "left", baseline: "middle", dx: 4, fontSize: 10 },
        encoding: {
          x: { ...x, field: "end" },
          y,
          text: { field: "label" },
          fill: { value: "var(--muted)" },
        },
      },
    ],
  };
  return drawPlot({ ...options, spec });
}
