import type { Html } from "./html.ts";
import { drawPlot, namesAxis, zeroLine } from "./plot.ts";
import type { ScoredTask } from "@lopper/card";

/**
 * Change of the share of right answers by task in points of a hundred: a dot, and its interval as a
 * line.
 */
export function tasksPlot(
  tasks: readonly ScoredTask[],
  options: { readonly id: string; readonly title: string; readonly description: string },
): Promise<Html> {
  const values = tasks.map(({ task, difference: { value, low, high } }) => ({
    task,
    change: 100 * value,
    low: 100 * (low ?? value),
    high: 100 * (high ?? value),
  }));
  const y = namesAxis("task");
  const x = {
    type: "quantitative",
    title: "change of right answers, points of a hundred",
    axis: { tickCount: 5 },
  };
  const spec = {
    height: { step: 24 },
    autosize: { type: "pad" },
    width: 240,
    data: { values },
    layer: [
      zeroLine(x),
      {
        mark: { type: "rule", strokeWidth: 2, color: "var(--bar)" },
        encoding: { x: { ...x, field: "low" }, x2: { field: "high" }, y },
      },
      {
        mark: { type: "point", filled: true, size: 60, opacity: 1, color: "var(--accent)" },
        encoding: { x: { ...x, field: "change" }, y },
      },
    ],
  };
  return drawPlot({ ...options, spec });
}
