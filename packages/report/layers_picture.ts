import { mlpHeading, mlpLeft, mlpShare, mlpUnits, mostUnits } from "@lopper/card";
import type { PrunePlan } from "@lopper/core";
import { Html, html } from "./html.ts";
import type { LayerChange } from "./removed.ts";
import { PICTURE_STYLE } from "./style.ts";

/** Where things stand in the picture, in its own units. */
interface Layout {
  readonly width: number;
  readonly row: number;
  readonly bar: number;
  readonly attention: { readonly x: number; readonly width: number };
  readonly mlp: { readonly x: number; readonly width: number };
  readonly font: number;
}

const WIDE: Layout = {
  width: 760,
  row: 24,
  bar: 16,
  attention: { x: 40, width: 180 },
  mlp: { x: 310, width: 340 },
  font: 12,
};
const NARROW: Layout = {
  width: 350,
  row: 22,
  bar: 14,
  attention: { x: 26, width: 86 },
  mlp: { x: 154, width: 122 },
  font: 11,
};
const TOP = 26;
/**
 * With more query heads than this they are too small to be told apart, and only their groups are
 * drawn.
 */
const MAX_HEADS = 64;

/**
 * The layers from the input (top) to the output: KV groups of the attention as cells, MLP channels
 * as a bar, what is gone as a dashed outline. It is drawn for wide and narrow screens; the style
 * sheet shows one of them.
 */
export function layersPicture(
  changes: readonly LayerChange[],
  plan: PrunePlan | null,
  description: string,
): Html {
  return html`${draw(WIDE, "wide", changes, plan, description)}${
    draw(NARROW, "narrow", changes, plan, description)
  }`;
}

/** The same picture, for wide screens, as the text of an SVG file that needs nothing besides. */
export function layersFile(
  changes: readonly LayerChange[],
  plan: PrunePlan | null,
  description: string,
): string {
  const style = html`<style>${new Html(PICTURE_STYLE)}</style>`;
  return draw(WIDE, "wide", changes, plan, description, style).text.trim() + "\n";
}

/** @param style of a picture that stands in a file of its own. */
function draw(
  layout: Layout,
  name: string,
  changes: readonly LayerChange[],
  plan: PrunePlan | null,
  description: string,
  style?: Html,
): Html {
  const { width, row, font, attention, mlp } = layout;
  const height = TOP + changes.length * row + 4;
  const before = changes.map(({ dense }) => dense);
  const widest = mostUnits(before);
  const heading = mlpHeading(before);
  const units = heading === "MLP channels" ? "MLP, channels" : heading;
  const id = `layers-${name}`;
  const own = style &&
    html`
      xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"
    `;
  return html`
    <svg${own} class="picture ${name}" role="img"
      aria-labelledby="${id}-title ${id}-desc"
      viewBox="0 0 ${width} ${height}" font-size="${font}">
    <title id="${id}-title">What stays of each layer</title>
    <desc id="${id}-desc">${description}</desc>${style}
    <g class="head" text-anchor="start"><text x="${attention
      .x}" y="14">attention, KV groups</text><text x="${mlp.x}" y="14">${units}</text></g>
    ${changes.map((change, i) =>
      html`
        <g transform="translate(0 ${TOP + i * row})">${drawLayer(
          layout,
          change,
          keptGroups(change, plan),
          widest(change.dense),
        )}</g>
      `
    )}</svg>
  `;
}

/** Numbers of the KV groups that stayed; where no plan says which, the first ones. */
function keptGroups({ layer, pruned }: LayerChange, plan: PrunePlan | null): ReadonlySet<number> {
  const kept = plan?.layers[layer]?.attention;
  if (kept !== undefined && kept !== "removed") return new Set(kept.kvGroups);
  return new Set(Array.from({ length: pruned.attention?.kvHeads ?? 0 }, (_, group) => group));
}

function drawLayer(
  layout: Layout,
  { layer, dense, pruned, steps }: LayerChange,
  groups: ReadonlySet<number>,
  widest: number,
): Html {
  const { attention, mlp, bar, font } = layout;
  const baseline = bar / 2 + font * 0.36;
  const channels = mlpUnits(dense) ?? 0;
  const kept = mlpLeft(dense, pruned) ?? 0;
  const full = round(mlp.width * channels / widest);
  const label = (x: number, text: string, kind: string) =>
    html`<text class="${kind}" x="${round(x)}" y="${round(baseline)}">${text}</text>`;
  const gone = (x: number, width: number, at: readonly number[]) =>
    html`
      <rect class="gone" x="${x}" y="0.5" width="${width}" height="${bar - 1}" />
      <text class="note" text-anchor="middle" x="${round(x + width / 2)}" y="${round(
        baseline,
      )}">${at.length > 0 ? `step ${at.at(-1)}` : "removed"}</text>
    `;
  const absent = (x: number) => label(x, "not in this model", "note");
  return html`
    <text class="number" text-anchor="end" x="${attention.x - 10}"
      y="${round(baseline)}">${layer}</text>${!dense.attention
        ? absent(attention.x)
        : pruned.attention
        ? html`${drawGroups(layout, dense.attention, groups)}${
          label(
            attention.x + attention.width + 6,
            share(pruned.attention.kvHeads, dense.attention.kvHeads),
            pruned.attention.kvHeads < dense.attention.kvHeads ? "less" : "same",
          )
        }`
        : gone(attention.x, attention.width, steps.attention)}${!dense.mlp
        ? absent(mlp.x)
        : pruned.mlp
        ? html`
          ${kept < channels &&
            html`
              <rect class="gone" x="${mlp.x}" y="0.5" width="${full}" height="${bar - 1}" />
            `}<rect class="mlp" x="${mlp.x}" y="0" width="${round(mlp.width * kept / widest)}"
            height="${bar}" />${label(
              mlp.x + full + 6,
              mlpShare(dense, pruned),
              kept < channels ? "less" : "same",
            )}
        `
        : gone(mlp.x, full, steps.mlp)}
  `;
}

/** One cell a KV group, with a line between its query heads. */
function drawGroups(
  { attention: { x, width }, bar }: Layout,
  { queryHeads, kvHeads }: { readonly queryHeads: number; readonly kvHeads: number },
  kept: ReadonlySet<number>,
): readonly Html[] {
  const cell = width / kvHeads;
  const gap = Math.min(6, cell / 4);
  const heads = queryHeads / kvHeads;
  return Array.from({ length: kvHeads }, (_, group) => {
    const left = x + group * cell;
    const inner = cell - (group < kvHeads - 1 ? gap : 0);
    const [start, size] = [round(left), round(inner)];
    if (!kept.has(group)) {
      return html`
        <rect class="gone" x="${start}" y="0.5" width="${size}" height="${bar - 1}" />
      `;
    }
    const lines = queryHeads > MAX_HEADS
      ? []
      : Array.from({ length: heads - 1 }, (_, head) => round(left + inner * (head + 1) / heads));
    return html`
      <rect class="attention" x="${start}" y="0" width="${size}" height="${bar}" />${lines.map((
        at,
      ) =>
        html`
          <path class="between" d="M${at} 0v${bar}" />
        `
      )}
    `;
  });
}

function share(kept: number, all: number): string {
  return kept === all ? String(all) : `${kept} of ${all}`;
}

function round(n: number): number {
  return Math.round(n * 100) / 100;
}
