import { describeRemoved, removedOf } from "@lopper/card";
import { formatChange, formatMilliseconds, formatPerplexity } from "@lopper/core";
import { comparedFigures } from "@lopper/run";
import { type Html, html } from "../html.ts";
import { layerChanges } from "../removed.ts";
import type { ReportRun } from "../report_run.ts";
import { table } from "../table.ts";

/** What a reader who reads nothing else needs to know. */
export function summary({ record }: ReportRun): Html {
  const { latency, perplexity, ratio, stopped, flags } = record;
  const changes = layerChanges(record);
  const what = `: ${describeRemoved(removedOf(changes))}`;
  const { heldOut } = perplexity;
  return html`
    <p
      class="lead">${ratio.toFixed(
        2,
      )} % of the parameters were removed${what}. Perplexity on text that the search never saw went from ${formatPerplexity(
        heldOut.dense,
      )} to ${formatPerplexity(heldOut.pruned)} (${formatChange(
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
        rows: comparedFigures(record).map(({ what, dense, pruned, format }) => [
          what,
          format(dense),
          format(pruned),
          html`<strong>${formatChange(dense, pruned)}</strong>`,
        ]),
      })}<p
      class="note">Perplexity is how many words, so to speak, the model wavers between; less is better. What was removed was chosen on the calibration text, so the held-out text says more. The pruned model was measured as it lies in its files, which Lopper itself read; no other program did.${latency &&
        ` The search was to end when a token takes ${
          formatMilliseconds(latency.target)
        }, as it predicts from blocks that were timed before it; it is measured after ${latency.pastTokens} other tokens.`}</p>
  `;
}
