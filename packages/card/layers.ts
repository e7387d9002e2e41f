import { plural } from "@lopper/core";
import type { LayerSizes } from "@lopper/models";

/** A layer before and after. */
export interface LayersBefore {
  readonly dense: LayerSizes;
  readonly pruned: LayerSizes;
}

export interface LayersBeforeAndAfter {
  readonly dense: readonly LayerSizes[];
  readonly pruned: readonly LayerSizes[];
}

/** What went, in whole blocks and in parts of those that stayed. */
interface Removals {
  readonly attentionBlocks: number;
  readonly mlpBlocks: number;
  /** Intermediate channels of MLPs that stayed, and in how many layers. */
  readonly channels: { readonly count: number; readonly layers: number };
  /** Experts of mixtures that stayed, in place of those. */
  readonly experts: { readonly count: number; readonly layers: number };
  /** Channels that each expert of such a mixture lost: the fewest and the most of a layer. */
  readonly ofExperts: { readonly least: number; readonly most: number; readonly layers: number };
  /** KV groups of attention blocks that stayed, and in how many layers. */
  readonly kvGroups: { readonly count: number; readonly layers: number };
}

export function removedOf(changes: readonly LayersBefore[]): Removals {
  const gone = (of: (layer: LayerSizes) => number | undefined) =>
    changes.filter(({ dense, pruned }) => of(dense) !== undefined && of(pruned) === undefined)
      .length;
  const lost = (of: (layer: LayerSizes) => number | undefined) =>
    changes.flatMap(({ dense, pruned }) => {
      const [before, after] = [of(dense), of(pruned)];
      return before !== undefined && after !== undefined && after < before ? [before - after] : [];
    });
  const ofEach = lost(expertChannels);
  const parts = (of: (layer: LayerSizes) => number | undefined) => {
    const differences = lost(of);
    return { count: differences.reduce((a, b) => a + b, 0), layers: differences.length };
  };
  return {
    attentionBlocks: gone(groupsOf),
    mlpBlocks: gone(mlpUnits),
    channels: parts((layer) => isMixture(layer) ? undefined : mlpUnits(layer)),
    experts: parts((layer) => isMixture(layer) ? mlpUnits(layer) : undefined),
    ofExperts: {
      ...{ least: Math.min(...ofEach), most: Math.max(0, ...ofEach) },
      layers: ofEach.length,
    },
    kvGroups: parts(groupsOf),
  };
}

/**
 * "3 whole blocks (1 attention, 2 MLP), 704 MLP channels in 5 layers and 1 KV group in 1 layer".
 */
export function describeRemoved(
  { attentionBlocks, mlpBlocks, channels, experts, ofExperts, kvGroups }: Removals,
): string {
  const blocks = attentionBlocks + mlpBlocks;
  const kinds = [
    ...(attentionBlocks > 0 ? [`${attentionBlocks} attention`] : []),
    ...(mlpBlocks > 0 ? [`${mlpBlocks} MLP`] : []),
  ].join(", ");
  const parts = [
    ...(blocks > 0 ? [`${plural(blocks, "whole block")} (${kinds})`] : []),
    ...part(experts, "expert"),
    ...partOfEach(ofExperts),
    ...part(channels, "MLP channel"),
    ...part(kvGroups, "KV group"),
  ];
  if (parts.length === 0) return "nothing";
  return parts.length === 1 ? parts[0] : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

function part({ count, layers }: Removals["channels"], unit: string): readonly string[] {
  return count > 0 ? [`${plural(count, unit)} in ${plural(layers, "layer")}`] : [];
}

function partOfEach({ least, most, layers }: Removals["ofExperts"]): readonly string[] {
  if (layers === 0) return [];
  const channels = least === most ? plural(most, "channel") : `${least} to ${most} channels`;
  return [`${channels} of each expert in ${plural(layers, "layer")}`];
}

/** Characters of the longest bar. */
const BAR = 32;
/** More KV groups than these are drawn by their share, too. */
const MAX_GROUPS = 16;

/**
 * The layers as a drawing of characters, one a line: `█` stays, `░` is what went. It needs no file
 * and looks the same wherever the card is read.
 */
export function drawnLayers({ dense, pruned }: LayersBeforeAndAfter): string {
  const groups = Math.max(0, ...dense.map((layer) => groupsOf(layer) ?? 0));
  const most = mostUnits(dense);
  const cells = Math.min(groups, MAX_GROUPS);
  const rows = dense.map((layer, i) => {
    const left = pruned[i] ?? { attention: null, mlp: null };
    return [
      String(i),
      bar(groupsOf(layer), groupsOf(left), groups, cells),
      share(groupsOf(layer), groupsOf(left)),
      bar(mlpUnits(layer), mlpLeft(layer, left), most(layer), BAR),
      mlpShare(layer, left),
    ];
  });
  const head = ["layer", "KV groups", "", mlpHeading(dense), ""];
  const widths = head.map((text, column) =>
    Math.max(text.length, ...rows.map((row) => row[column].length))
  );
  return [head, ...rows].map((row) =>
    row.map((text, column) => column === 0 ? text.padStart(widths[0]) : text.padEnd(widths[column]))
      .join("  ").trimEnd()
  ).join("\n");
}

function groupsOf({ attention }: LayerSizes): number | undefined {
  return attention?.kvHeads;
}

/** Channels of its MLP, or the experts that it has in place of one. */
export function mlpUnits({ mlp }: LayerSizes): number | undefined {
  return mlp?.experts ?? mlp?.intermediateSize;
}

/** Channels of each expert, where a layer has some. */
export function expertChannels({ mlp }: LayerSizes): number | undefined {
  return mlp?.experts === undefined ? undefined : mlp.intermediateSize;
}

/** What is left of the units of a layer, those of fewer channels as a part. */
export function mlpLeft(dense: LayerSizes, pruned: LayerSizes): number | undefined {
  const units = mlpUnits(pruned), [before, after] = [expertChannels(dense), expertChannels(pruned)];
  return units === undefined || before === undefined || after === undefined
    ? units
    : units * after / before;
}

/** The same in words: "6 of 8", and with fewer channels "6 of 8, each 24 of 32 channels". */
export function mlpShare(dense: LayerSizes, pruned: LayerSizes): string {
  const units = share(mlpUnits(dense), mlpUnits(pruned));
  const [before, after] = [expertChannels(dense), expertChannels(pruned)];
  return before === undefined || after === undefined || after === before
    ? units
    : `${units}, each ${after} of ${before} channels`;
}

/** Whether a layer has a mixture of experts in place of an MLP. */
function isMixture({ mlp }: LayerSizes): boolean {
  return mlp?.experts !== undefined;
}

/** What these are, of all layers together. */
export function mlpHeading(layers: readonly LayerSizes[]): string {
  const there = layers.filter(({ mlp }) => mlp !== null);
  if (!there.some(isMixture)) return "MLP channels";
  return there.every(isMixture) ? "experts" : "experts, MLP channels";
}

/** The most of them that a layer has which has the same as another one: experts, or channels. */
export function mostUnits(layers: readonly LayerSizes[]): (layer: LayerSizes) => number {
  const most = (mixtures: boolean) =>
    Math.max(1, ...layers.map((layer) => isMixture(layer) === mixtures ? mlpUnits(layer) ?? 0 : 0));
  const [channels, experts] = [most(false), most(true)];
  return (layer) => isMixture(layer) ? experts : channels;
}

/** What stays is at least one character, and so is what went. */
function bar(before = 0, after = 0, most: number, cells: number): string {
  if (before === 0) return "";
  const all = Math.max(1, Math.round(cells * before / most));
  const exact = all * after / before;
  const kept = after === before ? all : after === 0 ? 0 : Math.min(
    Math.max(1, Math.round(exact)),
    Math.max(1, all - 1),
  );
  return "█".repeat(kept) + "░".repeat(all - kept);
}

function share(before: number | undefined, after: number | undefined): string {
  if (before === undefined) return "none";
  if (after === undefined) return "removed";
  return after === before ? String(before) : `${after} of ${before}`;
}
