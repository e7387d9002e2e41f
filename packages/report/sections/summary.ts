import { formatBytes, formatCount, formatMilliseconds } from "@lopper/core";
import type { DenseAndPruned } from "@lopper/evaluation";
import { changeFigure, perplexityFigure } from "../figures.ts";
import { type Html, html } from "../html.ts";
import { describeRemoved, layerChanges, removedOf } from "../removed.ts";
import type { ReportRun } from "../report_run.ts";
import { table } from "../table.ts";

/** What a reader who reads nothing else needs to know. */
export function summary({ record }: ReportRun): Html {
  const { parameters, bytes, latency, perplexity, ratio, stopped, flags } = record;
  const changes = layerChanges(record);
  const what = `: ${describeRemoved(removedOf(changes))}`;
  const row = (
    name: string,
    { dense, pruned }: DenseAndPruned,
    format: (n: number) => string,
  ) => [name, format(dense), format(pruned), html`<strong>${changeFigure(dense, pruned)}</strong>`];
  const { heldOut } = perplexity;
  return html`
    <p
      class="lead">${ratio.toFixed(
        2,
      )} % of the parameters were removed${what}. Perplexity on text that the search never saw went from ${perplexityFigure(
        heldOut.dense,
      )} to ${perplexityFigure(heldOut.pruned)} (${changeFigure(
        heldOut.dense,
        heldOut.pruned,
      )}).</p>
    ${stopped &&
      html`<p>The search was to ${
        flags.targetLatency === null
          ? `remove ${flags.ratio} %`
          : `end when a token takes ${formatMilliseconds(flags.targetLatency)}`
      } and ended early: the next step, to ${
        stopped.ratio.toFixed(2)
      } %, would have raised perplexity on the ${stopped.on} text ${
        stopped.increase === null ? "beyond any number" : `by ${stopped.increase.toFixed(1)} %`
      }, and ${String(stopped.limit)} % were allowed.</p>`}${table({
        caption: "Before and after",
        head: ["what", "dense", "pruned", "change"],
        rows: [
          row("parameters", parameters, formatCount),
          row("weights", bytes, formatBytes),
          ...(latency
            ? [
              row("a token, predicted", latency.predicted, formatMilliseconds),
              row("a token, measured", latency.measured, formatMilliseconds),
            ]
            : []),
          row("perplexity, held-out text", perplexity.heldOut, perplexityFigure),
          row("perplexity, calibration text", perplexity.calibration, perplexityFigure),
        ],
      })}<p
      class="note">Perplexity is how many words, so to speak, the model wavers between; less is better. What was removed was chosen on the calibration text, so the held-out text says more. The pruned model was measured as it lies in its files, which Lopper itself read; no other program did.${latency &&
        ` The search was to end when a token takes ${
          formatMilliseconds(latency.target)
        }, as it predicts from blocks that were timed before it; it is measured after ${latency.pastTokens} other tokens.`}</p>
  `;
}
