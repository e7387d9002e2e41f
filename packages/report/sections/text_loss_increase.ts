import { mean } from "@lopper/core";
import { type LossIncrease, passagesByText } from "@lopper/evaluation";
import { signed } from "../loss_increase_plot.ts";
import { type Html, html } from "../html.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";
import { folded, table } from "../table.ts";
import { isRare, passagesPlot, tokensPlot } from "../text_plots.ts";

/** Passages that are shown. */
const SHOWN = 3;

/** A text, and what was measured of it. */
interface MeasuredText {
  readonly name: string;
  readonly passages: LossIncrease["passages"];
}

/** Which kinds of text suffered most, and where. */
export async function textLossIncreaseSection({ record }: ReportRun): Promise<Section> {
  const { lossIncrease, flags } = record;
  const heldOut = { name: "held-out", passages: lossIncrease.heldOut.passages };
  // The one that suffered most first; none where it is one text.
  const several = passagesByText(lossIncrease.heldOut)
    .toSorted((a, b) => meanChange(b) - meanChange(a));
  const calibration = { name: "calibration", passages: lossIncrease.calibration.passages };
  const isSeveral = several.length > 0;
  const kinds = [...lossIncrease.heldOut.tokens].sort((a, b) => changeOf(b) - changeOf(a));
  const worstKind = kinds.find((kind) =>
    kind.kind !== "other" && !isRare(kind.count, kinds) && Number.isFinite(changeOf(kind))
  );
  const tokens = await tokensPlot(lossIncrease.heldOut.tokens, {
    id: "tokens",
    title: "Change of the loss by kind of token, held-out text",
    description: `${
      kinds.map((kind) => `${kind.kind} ${signed(changeOf(kind))}`).join(", ")
    }, in nats per token. The table below has the same.`,
  });
  const content = html`
    <p>${isSeveral && mostAndLeast(several)}${worstKind &&
      `On the held-out text, ${worstKind.kind} suffered most: their loss went from ${
        worstKind.dense.toFixed(3)
      } to ${worstKind.pruned.toFixed(3)} nats per token. `}A stroke is a passage${isSeveral
      ? ""
      : ` of ${flags.seqLen} tokens`}; right of 0 it got worse.</p>
    <div class="pair">
      <figure><figcaption>Passages</figcaption>${await passagesOf([
        ...isSeveral ? several : [heldOut],
        calibration,
      ])}</figure>
      <figure><figcaption>Kinds of tokens, held-out text</figcaption>${tokens}</figure>
    </div>
    ${folded(
      "The kinds of text as tables",
      html`${textsTable([...several, heldOut, calibration])}${
        tokensTable("held-out", lossIncrease.heldOut)
      }${tokensTable("calibration", lossIncrease.calibration)}`,
    )}
    <h3>Where the held-out text suffered most</h3>
    <ol class="worst">${worstPassages(lossIncrease.heldOut)}</ol>
  `;
  return { id: "text-loss-increase", title: "Which text suffered", content };
}

/** The plot of all passages. */
function passagesOf(texts: readonly MeasuredText[]): Promise<Html> {
  return passagesPlot(texts, {
    id: "passages",
    title: "Change of the loss, passage by passage",
    description: texts.map(({ name, passages }) => {
      const changes = passages.map(changeOf);
      return `${name} text: ${changes.length} passages, from ${signed(Math.min(...changes))} to ${
        signed(Math.max(...changes))
      } nats per token.`;
    }).join(" "),
  });
}

/** Which of several texts suffered most, and which least. */
function mostAndLeast(texts: readonly MeasuredText[]): string {
  const [most, least] = [texts[0], texts.at(-1)!];
  return `Of the held-out texts, ${most.name} suffered most (${
    signed(meanChange(most))
  } nats per token), ${least.name} least (${signed(meanChange(least))}). `;
}

function meanChange({ passages }: MeasuredText): number {
  return mean(passages.map(changeOf));
}

function textsTable(texts: readonly MeasuredText[]): Html {
  return table({
    caption: "Texts",
    head: ["text", "passages", "got worse", "mean change", "worst", "best"],
    rows: texts.map(({ name, passages }) => {
      const changes = passages.map(changeOf);
      return [
        name,
        changes.length,
        changes.filter((change) => change > 0).length,
        signed(mean(changes)),
        signed(Math.max(...changes)),
        signed(Math.min(...changes)),
      ];
    }),
  });
}

function tokensTable(name: string, lossIncrease: LossIncrease): Html {
  return table({
    caption: `Kinds of tokens, ${name} text`,
    head: ["tokens", "number", "loss, dense", "loss, pruned", "change"],
    rows: lossIncrease.tokens.map((kind) => [
      kind.kind,
      kind.count.toLocaleString("en-US"),
      kind.dense.toFixed(3),
      kind.pruned.toFixed(3),
      signed(changeOf(kind)),
    ]),
  });
}

/** The passages that got worse most, as far as the record quotes them. */
function worstPassages({ passages }: LossIncrease): readonly Html[] {
  const worst = passages
    .map((passage, i) => ({ ...passage, number: i + 1 }))
    .filter(({ worst }) => worst !== undefined)
    .sort((a, b) => changeOf(b) - changeOf(a))
    .slice(0, SHOWN);
  return worst.map((passage) =>
    html`
      <li>
        <p
          class="note">passage ${passage.number} of ${passages.length}, ${signed(
            changeOf(passage),
          )} nats per token; its worst stretch:</p>
        <blockquote dir="auto">… ${passage.worst} …</blockquote>
      </li>
    `
  );
}

function changeOf({ dense, pruned }: LossIncrease["passages"][number]): number {
  return pruned - dense;
}
