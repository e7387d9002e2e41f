import type { TextDamage } from "@lopper/evaluation";
import { signed } from "../damage_plot.ts";
import { html } from "../html.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";
import { folded, table } from "../table.ts";
import { isRare, passagesPlot, tokensPlot } from "../text_plots.ts";

/** Passages that are shown. */
const SHOWN = 3;

/** Which kinds of text suffered most, and where. */
export async function textDamageSection({ record }: ReportRun): Promise<Section> {
  const { damage, flags } = record;
  const heldOut = { name: "held-out", damage: damage.heldOut };
  const calibration = { name: "calibration", damage: damage.calibration };
  const texts = [heldOut, calibration];
  const kinds = [...damage.heldOut.tokens].sort((a, b) => changeOf(b) - changeOf(a));
  const worstKind = kinds.find((kind) =>
    kind.kind !== "other" && !isRare(kind.count, kinds) && Number.isFinite(changeOf(kind))
  );
  const passages = await passagesPlot(texts, {
    id: "passages",
    title: "Change of the loss, passage by passage",
    description: texts.map(({ name, damage }) => {
      const changes = damage.passages.map(changeOf);
      return `${name} text: ${changes.length} passages, from ${signed(Math.min(...changes))} to ${
        signed(Math.max(...changes))
      } nats per token.`;
    }).join(" "),
  });
  const tokens = await tokensPlot(damage.heldOut.tokens, {
    id: "tokens",
    title: "Change of the loss by kind of token, held-out text",
    description: `${
      kinds.map((kind) => `${kind.kind} ${signed(changeOf(kind))}`).join(", ")
    }, in nats per token. The table below has the same.`,
  });
  const worst = damage.heldOut.passages
    .map((passage, i) => ({ ...passage, number: i + 1 }))
    .filter(({ worst }) => worst !== undefined)
    .sort((a, b) => changeOf(b) - changeOf(a))
    .slice(0, SHOWN);
  const content = html`
    <p>${worstKind &&
      `On the held-out text, ${worstKind.kind} suffered most: their loss went from ${
        worstKind.dense.toFixed(3)
      } to ${worstKind.pruned.toFixed(3)} nats per token. `}A stroke is a passage of ${String(
        flags.seqLen,
      )} tokens; right of 0 it got worse.</p>
    <div class="pair">
      <figure><figcaption>Passages</figcaption>${passages}</figure>
      <figure><figcaption>Kinds of tokens, held-out text</figcaption>${tokens}</figure>
    </div>
    ${folded(
      "The kinds of text as tables",
      html`${
        table({
          caption: "Texts",
          head: ["text", "passages", "got worse", "mean change", "worst", "best"],
          rows: texts.map(({ name, damage }) => {
            const changes = damage.passages.map(changeOf);
            return [
              name,
              changes.length,
              changes.filter((change) => change > 0).length,
              signed(changes.reduce((a, b) => a + b, 0) / changes.length),
              signed(Math.max(...changes)),
              signed(Math.min(...changes)),
            ];
          }),
        })
      }${
        texts.map(({ name, damage }) =>
          table({
            caption: `Kinds of tokens, ${name} text`,
            head: ["tokens", "number", "loss, dense", "loss, pruned", "change"],
            rows: damage.tokens.map((kind) => [
              kind.kind,
              kind.count.toLocaleString("en-US"),
              kind.dense.toFixed(3),
              kind.pruned.toFixed(3),
              signed(changeOf(kind)),
            ]),
          })
        )
      }`,
    )}
    <h3>Where the held-out text suffered most</h3>
    <ol class="worst">${worst.map((passage) =>
      html`
        <li>
          <p
            class="note">passage ${passage.number} of ${damage.heldOut.passages.length}, ${signed(
              changeOf(passage),
            )} nats per token; its worst stretch:</p>
          <blockquote dir="auto">… ${passage.worst} …</blockquote>
        </li>
      `
    )}</ol>
  `;
  return { id: "text-damage", title: "Which text suffered", content };
}

function changeOf({ dense, pruned }: TextDamage["passages"][number]): number {
  return pruned - dense;
}
