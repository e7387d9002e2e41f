import {
  type BlockKind,
  type BlockRef,
  countParameters,
  densePlan,
  type LayerSpec,
  type ModelSpec,
  type PrunePlan,
} from "@lopper/core";
import { perplexity } from "@lopper/importance";
import type { UnitOrder } from "@lopper/runtime";
import type { FrontierStep, Swap, SwappedBlock, SwapPhase, Way } from "./frontier_schema.ts";
import { blockOf, type CandidateName, layersAfter, removedBlocks } from "./candidate.ts";
import type { SearchResult } from "./search.ts";
import { keptSwaps, type SwapLine } from "./swap/swap_line.ts";
import { removalsAfter } from "./swap/swap_pairs.ts";

/**
 * The steps of a search and the swaps between them as run.json keeps them. What went or came back is named by its place in
 * the checkpoint, so that a part of the run means the same without the orders under which the search ran.
 * @param orderAt the order of the units inside the blocks, most important first, under which so many steps had been taken:
 * what a step removes is the end of it.
 */
export function wayOf(
  spec: ModelSpec,
  { steps, measures, swaps }: Pick<SearchResult, "steps" | "measures" | "swaps">,
  orderAt: (steps: number) => UnitOrder,
): Way {
  let layers = spec.layers;
  const heldOut = (steps: number, swap?: number) => {
    const found = measures.find((line) =>
      line.steps === steps && line.on === "held_out" && line.swap === swap
    );
    return found ? perplexity(found.nll) : null;
  };
  const phases: SwapPhase[] = [];
  const frontier = steps.map(({ stage, taken, ppl, ratio, latency }, i): FrontierStep => {
    const before = layers;
    layers = layersAfter(spec, before, taken);
    const step = layers;
    const order = orderAt(i + 1);
    const went = (layer: number) => unitsBetween(before[layer], step[layer], order.layers[layer]);
    const everywhere = taken.kind === "all_mlp_channels" || taken.kind === "all_attention_heads";
    const lines = swaps.filter(({ steps }) => steps === i + 1);
    if (lines.length > 0) {
      const phase = phaseOf(spec, layers, lines, order, heldOut);
      phases.push(phase.record);
      layers = phase.layers;
    }
    return {
      stage,
      ...taken,
      removed: everywhere ? [] : went(taken.layer),
      ...(everywhere && { removedByLayer: step.map((_, layer) => went(layer)) }),
      ratio,
      ...(latency !== undefined && { latency }),
      parameters: countParameters(spec, step).total,
      perplexity: ppl,
      heldOut: heldOut(i + 1),
    };
  });
  return { frontier, swaps: phases };
}

/** The swaps of one target, and what they leave. */
function phaseOf(
  spec: ModelSpec,
  start: readonly LayerSpec[],
  lines: readonly SwapLine[],
  order: UnitOrder,
  heldOut: (steps: number, swap: number) => number | null,
): { readonly record: SwapPhase; readonly layers: readonly LayerSpec[] } {
  let layers = start;
  const change = (name: CandidateName): SwappedBlock => {
    const block = blockOf(name);
    const { layer, kind } = block;
    const count = ({ attention, mlp }: LayerSpec) =>
      (kind === "mlp" ? mlp?.intermediateSize : attention?.kvHeads) ?? 0;
    const before = count(layers[layer]);
    layers = layersAfter(spec, layers, name);
    const after = count(layers[layer]);
    const units = order.layers[layer][kind === "mlp" ? "channels" : "kvGroups"] ?? [];
    return {
      ...block,
      width: name.width,
      units: after === 0
        ? []
        : units.slice(Math.min(before, after), Math.max(before, after)).sort((a, b) => a - b),
    };
  };
  const kept = keptSwaps(lines).map((line): Swap => ({
    restored: change(line.restored),
    removed: line.removed && change(line.removed),
    ratio: line.ratio,
    parameters: countParameters(spec, layers).total,
    perplexity: perplexity(line.after),
    heldOut: heldOut(line.steps, lines.indexOf(line)),
  }));
  const summary = lines.find((line) => line.type === "swaps")!;
  const finite = (nll: readonly number[]) => {
    const value = perplexity(nll);
    return Number.isFinite(value) ? value : null;
  };
  return {
    layers,
    record: {
      steps: summary.steps,
      tried: summary.tried,
      kept,
      perplexity: { before: finite(summary.before), after: finite(summary.after) },
      blockTokens: lines.reduce((sum, { cost }) => sum + cost.blockTokens, 0),
    },
  };
}

/** Units that a narrower layer has lost, ascending; none where a block is removed, which says it all. */
function unitsBetween(
  before: LayerSpec,
  after: LayerSpec,
  { channels, kvGroups }: UnitOrder["layers"][number],
): readonly number[] {
  const lost = (units: readonly number[] | null, from: number, to: number) =>
    (units ?? []).slice(from, to);
  return [
    ...after.mlp && before.mlp
      ? lost(channels, after.mlp.intermediateSize, before.mlp.intermediateSize)
      : [],
    ...after.attention && before.attention
      ? lost(kvGroups, after.attention.kvHeads, before.attention.kvHeads)
      : [],
  ].sort((a, b) => a - b);
}

/**
 * The plan that the first steps of a run make, with swaps between them and after them: that of a run which stopped there.
 * @param spec the dense model.
 */
export function planOfFrontier(
  spec: ModelSpec,
  modelDigest: string,
  frontier: readonly FrontierStep[],
  swaps: readonly SwapPhase[] = [],
): PrunePlan {
  const layers = densePlan(spec, modelDigest).layers.map((layer) => ({ ...layer }));
  let removalOrder: readonly BlockRef[] = [];
  const narrow = (layer: number, kind: BlockKind, removed: readonly number[]) => {
    const gone = new Set(removed);
    const stays = (unit: number) => !gone.has(unit);
    const { attention, mlp } = layers[layer];
    if (kind === "mlp" && mlp !== "removed") {
      layers[layer].mlp = { channels: mlp.channels.filter(stays) };
    } else if (kind === "attention" && attention !== "removed") {
      layers[layer].attention = { kvGroups: attention.kvGroups.filter(stays) };
    }
  };
  const widen = ({ layer, kind, units }: SwappedBlock) => {
    const { attention, mlp } = layers[layer];
    const all = (kept: readonly number[]) =>
      [...new Set([...kept, ...units])].sort((a, b) => a - b);
    if (kind === "mlp") {
      layers[layer].mlp = { channels: all(mlp === "removed" ? [] : mlp.channels) };
    } else {
      layers[layer].attention = {
        kvGroups: all(attention === "removed" ? [] : attention.kvGroups),
      };
    }
  };
  for (const [i, { kind, layer, width, removed, removedByLayer = [] }] of frontier.entries()) {
    const blocks = removedBlocks({ kind, layer, width });
    for (const block of blocks) layers[block.layer][block.kind] = "removed";
    removalOrder = [...removalOrder, ...blocks];
    if (kind === "mlp_channels") narrow(layer, "mlp", removed);
    else if (kind === "attention_heads") narrow(layer, "attention", removed);
    else if (kind === "all_mlp_channels") {
      removedByLayer.slice(0, layers.length).forEach((units, l) => narrow(l, "mlp", units));
    } else if (kind === "all_attention_heads") {
      removedByLayer.slice(0, layers.length).forEach((units, l) => narrow(l, "attention", units));
    }
    for (const { steps, kept } of swaps) {
      if (steps !== i + 1) continue;
      for (const { restored, removed } of kept) {
        widen(restored);
        if (removed?.width === 0) layers[removed.layer][removed.kind] = "removed";
        else if (removed) narrow(removed.layer, removed.kind, removed.units);
        removalOrder = removalsAfter(removalOrder, restored, removed);
      }
    }
  }
  return { modelDigest, removalOrder, layers };
}
