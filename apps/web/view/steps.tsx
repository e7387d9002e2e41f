import { formatPerplexity, formatRatio } from "@lopper/core";
import type { StepTold } from "../tasks/protocol.ts";

/** Where things stand in the chart, in its own units. */
const BOX = { width: 350, height: 150, left: 44, right: 8, top: 10, bottom: 24 } as const;

/** What the chart shows at least, from its lowest value on. */
const LEAST_SPAN = 1.1;

/** Perplexity at each step, as a line and as a table. */
export function Steps(props: { readonly steps: readonly StepTold[]; readonly target: number }) {
  const { steps, target } = props;
  if (steps.length === 0) return null;
  const last = steps.at(-1)!;
  return (
    <figure>
      <figcaption>Perplexity while more goes</figcaption>
      {steps.filter(isFinite).length > 1 && <Chart steps={steps} target={target} />}
      <details>
        <summary>
          {steps.length === 1 ? "1 step" : `${steps.length} steps`}, the last: {last.what}
        </summary>
        <div class="scroll" role="region" aria-label="Steps" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Step</th>
                <th scope="col" class="word">Removed</th>
                <th scope="col">Gone</th>
                <th scope="col">Perplexity</th>
              </tr>
            </thead>
            <tbody>
              {steps.map(({ what, ratio, perplexity }, i) => (
                <tr key={i}>
                  <th scope="row">{i + 1}</th>
                  <td class="word">{what}</td>
                  <td>{ratio.toFixed(2)} %</td>
                  <td>{formatPerplexity(perplexity)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

function isFinite({ perplexity }: StepTold): boolean {
  return Number.isFinite(perplexity);
}

function Chart(
  { steps, target }: { readonly steps: readonly StepTold[]; readonly target: number },
) {
  const finite = steps.filter(isFinite);
  const values = finite.map(({ perplexity }) => perplexity);
  const least = Math.min(...values);
  // What hardly changes is not to look as if it did.
  const most = Math.max(...values, LEAST_SPAN * least);
  const { width, height, left, right, top, bottom } = BOX;
  const far = Math.max(target, steps.at(-1)!.ratio);
  const x = (ratio: number) => left + (width - left - right) * ratio / far;
  const y = (value: number) =>
    height - bottom - (height - top - bottom) * (value - least) / (most - least);
  const lines = Map.groupBy(finite, ({ stage }) => stage);
  const point = ({ ratio, perplexity }: StepTold) =>
    `${x(ratio).toFixed(1)},${y(perplexity).toFixed(1)}`;
  const said = `From ${formatPerplexity(values[0])} to ${formatPerplexity(values.at(-1)!)} at ${
    formatRatio(steps.at(-1)!.ratio)
  } of ${formatRatio(target)}. The table below has every step.`;
  return (
    <svg class="chart" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={said}>
      <path class="axis" d={`M${left} ${top}V${height - bottom}H${width - right}`} />
      <text x={left - 6} y={y(most) + 4} text-anchor="end">{formatPerplexity(most)}</text>
      <text x={left - 6} y={y(least)} text-anchor="end">{formatPerplexity(least)}</text>
      <text x={left} y={height - 8} text-anchor="start">0 %</text>
      <text x={width - right} y={height - 8} text-anchor="end">{formatRatio(far)} gone</text>
      {[...lines].map(([stage, steps]) => (
        <polyline key={stage} class="line" points={steps.map(point).join(" ")} />
      ))}
      {finite.map((step, i) => (
        <circle
          key={i}
          r="2.5"
          cx={x(step.ratio)}
          cy={y(step.perplexity)}
        />
      ))}
    </svg>
  );
}
