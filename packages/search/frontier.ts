import {
  type BlockKind,
  type BlockRef,
  countParameters,
  densePlan,
  type FrontierStep,
  groupSize,
  type LayerSpec,
  type ModelSpec,
  type PrunePlan,
  replaceLayer,
} from "@lopper/core";
import { perplexity } from "@lopper/importance";
import type { UnitOrder } from "@lopper/runtime";
import { type CandidateName, removedBlocks } from "./candidate.ts";
import type { Measure } from "./gauge.ts";
import type { Step } from "./greedy.ts";

/**
 * The steps of a search as run.json keeps them. What each step removed is named by its place in the checkpoint, so that
 * a part of the run means the same without the order under which the search ran.
 * @param order of the units inside the blocks, most important first: what a step removes is the end of it.
 */
export function frontierOf(
  spec: ModelSpec,
  steps: readonly Step[],
  measures: readonly Measure[],
  order: UnitOrder,
): readonly FrontierStep[] {
  let layers = spec.layers;
  return steps.map(({ stage, taken, ppl, ratio, latency }, i): FrontierStep => {
    const before = layers;
    layers = narrowed(spec, before, taken);
    const went = (layer: number) => unitsBetween(before[layer], layers[layer], order.layers[layer]);
    const everywhere = taken.kind === "all_mlp_channels" || taken.kind === "all_attention_heads";
    const heldOut = measures.find(({ steps, on }) => steps === i + 1 && on === "held_out");
    return {
      stage,
      ...taken,
      removed: everywhere ? [] : went(taken.layer),
      ...(everywhere && { removedByLayer: layers.map((_, layer) => went(layer)) }),
      ratio,
      ...(latency !== undefined && { latency }),
      parameters: countParameters(spec, layers).total,
      perplexity: ppl,
      heldOut: heldOut ? perplexity(heldOut.nll) : null,
    };
  });
}

/** What a candidate leaves. */
function narrowed(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  { kind, layer, width }: CandidateName,
): readonly LayerSpec[] {
  const heads = ({ attention }: LayerSpec) => {
    const queryHeads = width / spec.headDim;
    return { attention: { queryHeads, kvHeads: queryHeads / groupSize(attention!) } };
  };
  const channels = { mlp: { intermediateSize: width } };
  switch (kind) {
    case "attention":
    case "mlp":
      return replaceLayer(layers, layer, { [kind]: null });
    case "layer":
      return replaceLayer(layers, layer, { attention: null, mlp: null });
    case "mlp_channels":
      return replaceLayer(layers, layer, channels);
    case "attention_heads":
      return replaceLayer(layers, layer, heads(layers[layer]));
    case "all_mlp_channels":
      return layers.map((shape) => shape.mlp ? { ...shape, ...channels } : shape);
    case "all_attention_heads":
      return layers.map((shape) => shape.attention ? { ...shape, ...heads(shape) } : shape);
  }
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
 * The plan that the first steps of a run make: that of a run which stopped there.
 * @param spec the dense model.
 */
export function planOfFrontier(
  spec: ModelSpec,
  modelDigest: string,
  frontier: readonly FrontierStep[],
): PrunePlan {
  const layers = densePlan(spec, modelDigest).layers.map((layer) => ({ ...layer }));
  const removalOrder: BlockRef[] = [];
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
  for (const { kind, layer, width, removed, removedByLayer = [] } of frontier) {
    const blocks = removedBlocks({ kind, layer, width });
    for (const block of blocks) layers[block.layer][block.kind] = "removed";
    removalOrder.push(...blocks);
    if (kind === "mlp_channels") narrow(layer, "mlp", removed);
    else if (kind === "attention_heads") narrow(layer, "attention", removed);
    else if (kind === "all_mlp_channels") {
      removedByLayer.slice(0, layers.length).forEach((units, l) => narrow(l, "mlp", units));
    } else if (kind === "all_attention_heads") {
      removedByLayer.slice(0, layers.length).forEach((units, l) => narrow(l, "attention", units));
    }
  }
  return { modelDigest, removalOrder, layers };
}
