import { describeRemoved, expertChannels, mlpHeading, mlpUnits, removedOf } from "@lopper/card";
import { html } from "../html.ts";
import { layersFile, layersPicture } from "../layers_picture.ts";
import { type LayerChange, layerChanges, type LayersOfRun } from "../removed.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";
import { folded, table } from "../table.ts";

/** What stays of each layer, as a picture and as a table. */
export function removedSection({ record, plan }: ReportRun): Section {
  const changes = layerChanges(record);
  const description = `${describeLayers(changes)} The table below has the same in figures.`;
  const units = mlpHeading(record.layers.dense);
  const isNarrowed = changes.some(({ dense, pruned }) =>
    pruned.mlp && expertChannels(dense) !== expertChannels(pruned)
  );
  const ofEach = isNarrowed ? [["channels of each expert", expertChannels] as const] : [];
  const content =
    html`<p>A row is a layer, from the input at the top to the output. A filled part stays, a dashed outline is what went, with the step of the search that took it. A cell is a KV group with its query heads.</p>
<figure>${layersPicture(changes, plan, description)}</figure>
${
      folded(
        "The layers as a table",
        table({
          caption: "What stays of each layer",
          head: [
            "layer",
            "KV groups",
            "query heads",
            units,
            ...ofEach.map(([head]) => head),
            "steps",
          ],
          rows: changes.map((change) => [
            change.layer,
            fromTo(change, ({ attention }) => attention?.kvHeads),
            fromTo(change, ({ attention }) => attention?.queryHeads),
            fromTo(change, mlpUnits),
            ...ofEach.map(([, of]) => fromTo(change, of)),
            [...change.steps.attention, ...change.steps.mlp].sort((a, b) => a - b).join(", ") ||
            "–",
          ]),
        }),
      )
    }`;
  return { id: "removed", title: "What was removed", content };
}

/** The picture in words. */
function describeLayers(changes: readonly LayerChange[]): string {
  const what = describeRemoved(removedOf(changes));
  const untouched = changes.filter(({ dense, pruned }) => sameShape(dense, pruned)).length;
  return `${changes.length} layers from the input at the top to the output. Removed: ${what}. ${untouched} layers are untouched.`;
}

/** What stays of each layer, as markup for a page with its style, and in words. */
export function picturedLayers(
  run: LayersOfRun,
  plan: ReportRun["plan"],
): { readonly picture: string; readonly description: string } {
  const changes = layerChanges(run);
  const description = describeLayers(changes);
  return { picture: layersPicture(changes, plan, description).text, description };
}

/** What stays of each layer, as the text of an SVG file. */
export function removedPicture({ record, plan }: Pick<ReportRun, "record" | "plan">): string {
  const changes = layerChanges(record);
  return layersFile(changes, plan, describeLayers(changes));
}

function sameShape(a: LayerChange["dense"], b: LayerChange["dense"]): boolean {
  return a.attention?.kvHeads === b.attention?.kvHeads &&
    mlpUnits(a) === mlpUnits(b) && expertChannels(a) === expertChannels(b);
}

function fromTo(
  { dense, pruned }: LayerChange,
  of: (layer: LayerChange["dense"]) => number | undefined,
): string {
  const [before, after] = [of(dense), of(pruned)];
  if (before === undefined) return "none";
  if (after === undefined) return `${before}, removed`;
  return before === after ? String(after) : `${after} of ${before}`;
}
