import type { RunRecord } from "@lopper/run";
import { kindOfChanges, placeOfPart } from "@lopper/search";
import { type BlockLossIncrease, blockLossIncreases } from "../block_loss_increase.ts";
import { type LossIncreaseBar, lossIncreasePlot, signed } from "../loss_increase_plot.ts";
import { type Html, html } from "../html.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";
import { folded, table } from "../table.ts";

/** What a plot and a row call it, by what would go. */
const KINDS: Readonly<Record<string, { readonly plot: string; readonly row: string }>> = {
  attention: { plot: "Attention block removed", row: "attention block" },
  mlp: { plot: "MLP block removed", row: "MLP block" },
  channels: { plot: "First group of MLP channels removed", row: "MLP channels" },
  experts: { plot: "Mixture of experts removed, or a group of it", row: "experts" },
  "all channels": {
    plot: "Channels of the experts of all layers removed",
    row: "channels of all experts",
  },
  "all experts": { plot: "Experts of all layers removed", row: "experts of all layers" },
  kvGroups: { plot: "First KV group removed", row: "KV group" },
  layer: { plot: "Layer removed", row: "layer" },
};

function wordsOf(kind: string) {
  return KINDS[kind] ?? { plot: `${kind} removed`, row: kind };
}

/** What has to be known of the scores, by the kind of search. */
const SCORED: Readonly<Record<RunRecord["flags"]["search"], string>> = {
  exhaustive: "",
  fast:
    " The fast search does not score what others beat early, and some only on a few passages (see the table).",
  table: " All were scored once, against the dense model, what is narrowed with its refit.",
};

/** What the search found out about each layer. Null where there was no search. */
export async function layerLossIncreaseSection(
  { history, record }: ReportRun,
): Promise<Section | null> {
  if (!history) return null;
  const lossIncreases = blockLossIncreases(history, record);
  if (lossIncreases.length === 0) return null;
  const bars = lossIncreases.map((lossIncrease): LossIncreaseBar => ({
    ...lossIncrease,
    taken: wasTaken(lossIncrease, record),
  }));
  const content =
    html`<p>How much the loss grows on the calibration text when one thing goes, against the model just before, at the step that scored it first.${
      SCORED[record.flags.search]
    } Above 0.01 the axis grows by factors.</p>
<div class="pair">${await figuresOf(bars, record)}</div>
${folded("The scores as a table", scoresTable(bars))}`;
  return { id: "layer-loss-increase", title: "Loss increase by layer", content };
}

/** One plot for each kind of thing that could go. */
async function figuresOf(
  bars: readonly LossIncreaseBar[],
  record: RunRecord,
): Promise<readonly Html[]> {
  // Whole blocks and parts of them are no match for each other; the plots show what says most.
  const blocks = bars.filter(({ kind }) =>
    kind === "attention" || kind === "mlp" || kind === "layer"
  );
  const shown = blocks.length > 0 ? blocks : bars;
  const increases = shown.map(({ increase }) => increase);
  const extent = [Math.min(...increases), Math.max(...increases)] as const;
  const layers = Math.max(record.layers.dense.length, ...bars.map(({ layer }) => layer + 1));
  const figures: Html[] = [];
  for (const kind of new Set([...Object.keys(KINDS), ...shown.map((bar) => bar.kind)])) {
    const own = shown.filter((bar) => bar.kind === kind);
    if (own.length === 0) continue;
    const worst = own.reduce((a, b) => b.increase > a.increase ? b : a);
    const least = own.reduce((a, b) => b.increase < a.increase ? b : a);
    const plot = await lossIncreasePlot(own, {
      id: `loss-increase-${kind}`,
      title: wordsOf(kind).plot,
      description:
        `${own.length} of ${layers} layers were scored. Layer ${worst.layer} would hurt most, ${
          signed(worst.increase)
        }, and layer ${least.layer} least, ${
          signed(least.increase)
        } nats per token. The table below has all.`,
      layers,
      extent,
    });
    figures.push(
      html`<figure><figcaption>${wordsOf(kind).plot}, by layer</figcaption>${plot}</figure>`,
    );
  }
  return figures;
}

function scoresTable(bars: readonly LossIncreaseBar[]): Html {
  return table({
    caption: "Loss increase by layer",
    head: ["layer", "what would go", "nats per token", "passages", "step", "in the end"],
    words: 2,
    rows: bars.map(({ layer, kind, increase, passages, step, taken }) => [
      layer,
      wordsOf(kind).row,
      signed(increase),
      passages,
      step,
      taken ? "removed" : "stays",
    ]),
  });
}

/** Whether a step took it, and no swap gave it back, or a swap took it. */
function wasTaken(
  { kind, layer, part }: BlockLossIncrease,
  { frontier, swaps, layers }: RunRecord,
): boolean {
  const isSwapped = swaps.some(({ kept }) =>
    kept.some(({ changes }) => changes.some((change) => change.part === part))
  );
  if (!isSwapped) {
    return frontier.some(({ changes }) =>
      kindOfChanges(changes) === kind && placeOfPart(changes[0].part).layer === layer
    );
  }
  const block = placeOfPart(part).kind;
  const sizeIn = (all: RunRecord["layers"]["dense"]) =>
    Object.entries(all[layer]).find(([kind]) => kind === block)?.[1] ?? null;
  const [dense, pruned] = [sizeIn(layers.dense), sizeIn(layers.pruned)];
  return kind === block ? pruned === null : JSON.stringify(pruned) !== JSON.stringify(dense);
}
