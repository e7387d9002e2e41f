import {
  type BlockRef,
  countParameters,
  densePlan,
  type FrontierStep,
  type LayerSpec,
  type ModelSpec,
  type PrunePlan,
  replaceLayer,
} from "@lopper/core";
import { perplexity } from "@lopper/importance";
import type { UnitOrder } from "@lopper/runtime";
import type { CandidateName } from "./candidate.ts";
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
  return steps.map(({ stage, taken, ppl, ratio }, i): FrontierStep => {
    const { kind, layer, width } = taken;
    const before = layers[layer];
    layers = replaceLayer(layers, layer, narrowed(spec, before, taken));
    const after = layers[layer];
    const { channels, kvGroups } = order.layers[layer];
    const removed = kind === "mlp_channels"
      ? (channels ?? []).slice(width, before.mlp!.intermediateSize)
      : kind === "attention_heads"
      ? (kvGroups ?? []).slice(after.attention!.kvHeads, before.attention!.kvHeads)
      : [];
    const heldOut = measures.find(({ steps, on }) => steps === i + 1 && on === "held_out");
    return {
      stage,
      kind,
      layer,
      width,
      removed: removed.toSorted((a, b) => a - b),
      ratio,
      parameters: countParameters(spec, layers).total,
      perplexity: ppl,
      heldOut: heldOut ? perplexity(heldOut.nll) : null,
    };
  });
}

/** What a candidate leaves of its layer. */
function narrowed(spec: ModelSpec, { attention }: LayerSpec, taken: CandidateName) {
  const { kind, width } = taken;
  if (kind === "attention" || kind === "mlp") return { [kind]: null };
  if (kind === "mlp_channels") return { mlp: { intermediateSize: width } };
  const queryHeads = width / spec.headDim;
  const groupSize = attention!.queryHeads / attention!.kvHeads;
  return { attention: { queryHeads, kvHeads: queryHeads / groupSize } };
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
  for (const { kind, layer, removed } of frontier) {
    const gone = new Set(removed);
    const stays = (unit: number) => !gone.has(unit);
    const { attention, mlp } = layers[layer];
    if (kind === "attention" || kind === "mlp") {
      layers[layer][kind] = "removed";
      removalOrder.push({ layer, kind });
    } else if (kind === "mlp_channels" && mlp !== "removed") {
      layers[layer].mlp = { channels: mlp.channels.filter(stays) };
    } else if (kind === "attention_heads" && attention !== "removed") {
      layers[layer].attention = { kvGroups: attention.kvGroups.filter(stays) };
    }
  }
  return { modelDigest, removalOrder, layers };
}
