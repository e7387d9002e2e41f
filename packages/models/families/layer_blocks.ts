import {
  type Architecture,
  type Attention,
  type Axis,
  type Block,
  blockId,
  keptOf,
  type PrunePlan,
  resizedBlocks,
  routingOf,
  shapeOfKept,
  shapeOfWeight,
} from "@lopper/core";
import type { BlockTemplate, ExpertSettings, Family, Length, Trait } from "./family.ts";
import { llama } from "./llama.ts";
import { withExperts } from "./mixture_blocks.ts";

/**
 * Sizes of the blocks of one layer, in the words of config.json; null where the layer has no such
 * block.
 */
export interface LayerSizes {
  readonly attention: { readonly queryHeads: number; readonly kvHeads: number } | null;
  readonly mlp: MlpSizes | null;
}

/** With a number of experts, a mixture of as many. */
interface MlpSizes {
  readonly intermediateSize: number;
  readonly experts?: number;
}

/** What the blocks of a model have in common. */
export interface BlockTraits
  extends
    Pick<Architecture, "hiddenSize" | "headDim">,
    Pick<Block, "parallel" | "multiplier" | "activation"> {
  /** What this model has of what its family may have. */
  readonly traits: ReadonlySet<Trait>;
  /** How the tokens of each layer see one another, but for the channels. */
  readonly attention: readonly Omit<Attention, "channels">[];
  /** Of mixtures of experts, where it has some. */
  readonly experts?: ExpertSettings;
}

/** The blocks of a model of a family, layer by layer. */
export function blocksOfLayers(
  family: Pick<Family, "blocks" | "placement" | "qkNormOver">,
  common: BlockTraits,
  layers: readonly LayerSizes[],
): readonly Block[] {
  return layers.flatMap((sizes, layer) =>
    family.blocks.flatMap((template) => blockOf(family, template, common, sizes, layer) ?? [])
  );
}

/** The converse, for what is written by layers. */
export function layersOfBlocks(
  { layerCount, blocks, headDim }: Pick<Architecture, "layerCount" | "blocks" | "headDim">,
): readonly LayerSizes[] {
  const layers: LayerSizes[] = Array.from(
    { length: layerCount },
    () => ({ attention: null, mlp: null }),
  );
  for (const block of blocks) {
    const rows = (name: string) => shapeOfWeight(block, name)[0];
    layers[block.layer] = {
      ...layers[block.layer],
      ...(block.attention
        ? { attention: { queryHeads: rows("q") / headDim, kvHeads: rows("k") / headDim } }
        : { mlp: mlpSizes(block) }),
    };
  }
  return layers;
}

/** Of which only the sizes count. */
function plainExperts({ intermediateSize, experts = 1 }: MlpSizes): ExpertSettings {
  return {
    count: experts,
    channels: intermediateSize,
    routing: { topK: 1, softmaxOver: "all" },
  };
}

function mlpSizes(block: Block): MlpSizes {
  const [first, second] = shapeOfWeight(block, "up");
  return block.routing ? { intermediateSize: second, experts: first } : { intermediateSize: first };
}

/**
 * What remains of layers of which only the sizes are known when a plan is applied.
 * @throws {PlanError} as `keptOf`.
 */
export function prunedSizes(
  layers: readonly LayerSizes[],
  plan: PrunePlan,
): readonly LayerSizes[] {
  const [mixture] = layers.flatMap(({ mlp }) => mlp?.experts === undefined ? [] : [mlp]);
  const common = {
    ...{ hiddenSize: 1, headDim: 1, traits: new Set<Trait>() },
    attention: layers.map(() => ({ scale: 1, rope: null, window: null, softCap: null })),
    ...(mixture && { experts: plainExperts(mixture) }),
  };
  const like = mixture
    ? { ...llama, blocks: withExperts(llama.blocks, { at: "", dense: true }) }
    : llama;
  const blocks = blocksOfLayers(like, common, layers);
  const layerCount = layers.length;
  const shape = shapeOfKept(keptOf({ layerCount, blocks }, plan));
  return layersOfBlocks({ layerCount, headDim: 1, blocks: resizedBlocks(blocks, shape) });
}

function blockOf(
  { placement, qkNormOver }: Pick<Family, "placement" | "qkNormOver">,
  { kind, dimension, attended, weights }: BlockTemplate,
  common: BlockTraits,
  sizes: LayerSizes,
  layer: number,
): Block | undefined {
  const { hiddenSize, headDim, traits, parallel, multiplier, activation } = common;
  const experts = kind === "experts" ? common.experts : undefined;
  const size = SIZES[kind](sizes, headDim);
  if (!size) return undefined;
  const along = (width: number): Axis => ({ dimension, width });
  const normed = (width: number): Axis => qkNormOver === "all heads" ? along(width) : headDim;
  const axes: Readonly<Record<Length, Axis>> = {
    hidden: hiddenSize,
    queries: along(size.queries),
    keys: along(size.keys),
    channels: along(1),
    experts: along(1),
    expertChannels: experts?.channels ?? 0,
    sharedChannels: experts?.sharedChannels ?? 0,
    one: 1,
    queryHeads: along(size.queries / headDim),
    normedQueries: normed(size.queries),
    normedKeys: normed(size.keys),
  };
  const there = Object.entries(weights).filter(([, { of, axes: lengths }]) =>
    (of === undefined || traits.has(of)) &&
    // A shared expert that some models of a family do without.
    (!lengths.includes("sharedChannels") || experts?.sharedChannels !== undefined)
  );
  return {
    id: blockId(layer, kind),
    layer,
    kind,
    ...(placement !== "pre" && { placement }),
    // What runs second reads what the first one reads.
    ...(parallel && !attended && { parallel }),
    ...(multiplier !== undefined && { multiplier }),
    ...(activation !== undefined && !attended && { activation }),
    dimensions: [{
      ...{ name: dimension, units: size.units },
      ...(experts?.groups !== undefined && { groups: experts.groups }),
    }],
    ...(experts && { routing: routingOf(experts.routing, size.units, experts.groups) }),
    ...(experts?.gating && { gating: experts.gating }),
    ...(attended && { attention: { channels: axes[attended], ...common.attention[layer] } }),
    weights: there.map(([name, weight]) => ({
      name,
      axes: weight.axes.map((length) => axes[length]),
      ...(weight.norm && { norm: weight.norm }),
      ...(weight.shared && { shared: weight.shared }),
      ...(weight.stacked && { stacked: weight.stacked }),
    })),
  };
}

interface TemplateSize {
  readonly units: number;
  /** Channels of one unit. */
  readonly queries: number;
  readonly keys: number;
}

/** How large a block is, by its kind. */
const SIZES: Readonly<
  Record<string, (sizes: LayerSizes, headDim: number) => TemplateSize | null>
> = {
  attention: ({ attention }, headDim) =>
    attention && {
      units: attention.kvHeads,
      queries: headDim * attention.queryHeads / attention.kvHeads,
      keys: headDim,
    },
  mlp: ({ mlp }) =>
    mlp && mlp.experts === undefined ? { units: mlp.intermediateSize, queries: 0, keys: 0 } : null,
  experts: ({ mlp }) =>
    mlp?.experts === undefined ? null : { units: mlp.experts, queries: 0, keys: 0 },
};
