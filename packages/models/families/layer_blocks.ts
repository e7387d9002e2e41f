import {
  type Architecture,
  type Attention,
  type Axis,
  type Block,
  blockId,
  type Dimension,
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
  const sharedExperts = Math.max(0, ...layers.map(({ mlp }, layer) => sharedIn(plan, layer, mlp)));
  const common = {
    ...{ hiddenSize: 1, headDim: 1, traits: new Set<Trait>() },
    attention: layers.map(() => ({ scale: 1, rope: null, window: null, softCap: null })),
    ...(mixture && { experts: { ...plainExperts(mixture), sharedExperts } }),
  };
  const like = mixture
    ? { ...llama, blocks: withExperts(llama.blocks, { at: "", dense: true }) }
    : llama;
  const blocks = blocksOfLayers(like, common, layers);
  const layerCount = layers.length;
  const shape = shapeOfKept(blocks, keptOf({ layerCount, blocks }, plan));
  return layersOfBlocks({ layerCount, headDim: 1, blocks: resizedBlocks(blocks, shape) });
}

/**
 * How many experts more lose channels in a layer than tokens are sent to: a plan names some of all
 * of them, those of the last one at the end.
 */
function sharedIn({ layers }: PrunePlan, layer: number, mlp: MlpSizes | null): number {
  const kept = layers[layer]?.experts;
  if (mlp?.experts === undefined || kept === undefined || kept === "removed") return 0;
  const last = kept[OWNED]?.at(-1) ?? 0;
  return Math.floor(last / mlp.intermediateSize) + 1 - mlp.experts;
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
    expertChannels: { dimension: OWNED, width: 1 },
    sharedChannels: sharedAxis(experts, size.units),
    one: 1,
    queryHeads: along(size.queries / headDim),
    normedQueries: normed(size.queries),
    normedKeys: normed(size.keys),
  };
  const there = Object.entries(weights).filter(([, { of, axes: lengths }]) =>
    (of === undefined || traits.has(of)) &&
    // A shared expert that some models of a family do without.
    (!lengths.includes("sharedChannels") || hasShared(experts))
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
    dimensions: dimensionsOf({ name: dimension, units: size.units }, experts, sizes),
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

/** Of a mixture, its experts and what each has for itself. */
function dimensionsOf(
  main: Dimension,
  experts: ExpertSettings | undefined,
  { mlp }: LayerSizes,
): readonly Dimension[] {
  if (!experts) return [main];
  const { groups, sharedExperts = 0 } = experts;
  return [
    { ...main, ...(groups !== undefined && { groups }) },
    { name: OWNED, units: mlp!.intermediateSize, owners: main.units + sharedExperts },
  ];
}

/** What each expert of a mixture loses of its own: channels, as MLPs do. */
const OWNED = "channels";

function hasShared({ sharedChannels, sharedExperts }: Partial<ExpertSettings> = {}): boolean {
  return sharedChannels !== undefined || sharedExperts !== undefined;
}

/**
 * Channels of what all tokens go through: as many experts more, each with its own, where their
 * number follows from those of an expert.
 */
function sharedAxis(
  { sharedChannels = 0, sharedExperts }: Partial<ExpertSettings> = {},
  experts: number,
): Axis {
  return sharedExperts === undefined
    ? sharedChannels
    : { dimension: OWNED, width: sharedExperts, from: experts };
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
