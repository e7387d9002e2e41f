import {
  type Architecture,
  type Block,
  blocksOfLayer,
  CORRECTION,
  haveWeight,
  headsOf,
  inTurns,
  type NormKind,
  type PrunePlan,
  type Ranking,
  ropesOf,
  type Shape,
  unitCount,
} from "@lopper/core";
import {
  fromFloat32,
  MemoryFolder,
  MemorySink,
  type TensorEntry,
  writeSafetensors,
} from "@lopper/formats";
import {
  architectureFromConfig,
  checkConfig,
  declaredTensors,
  FAMILIES,
  packedEntries,
  withOwnKeys,
} from "@lopper/models";
import { Random } from "./tiny_random.ts";
import { tinySettings } from "./tiny_settings.ts";

export { Random };

export interface TinyOptions {
  /**
   * How far the weights of norms are from 1, as a factor either way. Where it is large, what a
   * channel puts out has little to do with the size of its weights, as in models that were trained.
   */
  readonly normSpread?: number;
  /** Rows of the embedding; few where nothing is said. */
  readonly vocabSize?: number;
  /** Whether families may have mixtures of experts; they do unless said. */
  readonly experts?: false;
  /** By their model types; all unless said. What a seed makes is the same where others come. */
  readonly families?: readonly string[];
}

/** Llama, and what is nearly one. */
export const LIKE_LLAMA: readonly string[] = ["llama", "mistral", "qwen2", "qwen3"];

/**
 * A random tiny model of a random family, float32, in memory: odd shapes, missing blocks and biases
 * included.
 */
export async function tinyModel(
  random: Random,
  { normSpread, vocabSize, families, experts }: TinyOptions = {},
): Promise<MemoryFolder> {
  const family = random.pick(
    FAMILIES.filter((family) =>
      (!families || families.includes(family.modelType)) &&
      (experts !== false || family.blocks.every(({ kind }) => kind !== "experts"))
    ),
  );
  const hidden = random.pick([12, 20, 24, 32]);
  const headDim = random.pick([4, 6, 16, 32]);
  const kvHeads = random.int(1, 3);
  const queriesPerGroup = family.keys?.num_key_value_heads === null ? 1 : random.int(1, 3);
  const layerCount = random.int(1, 4);
  const intermediate = random.int(3, 40);
  const vocab = vocabSize ?? random.int(17, 40);
  const tied = random.chance(0.5);
  const missing = random.chance(0.3);
  const shapes = Array.from({ length: layerCount }, () => {
    const groups = missing ? random.int(1, kvHeads) : kvHeads;
    return {
      attention: missing && random.chance(0.3)
        ? null
        : { query_heads: groups * queriesPerGroup, kv_heads: groups },
      mlp: missing && random.chance(0.3)
        ? null
        : { intermediate_size: missing ? random.int(1, intermediate) : intermediate },
    };
  });
  const config = withOwnKeys({
    model_type: family.modelType,
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layerCount,
    num_attention_heads: kvHeads * queriesPerGroup,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    vocab_size: vocab,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: tied,
    ...tinySettings(family, random, { layerCount, headDim }),
    // Where the config says nothing, layers of a hybrid are state spaces, and have experts.
    ...(family.hybrid && {
      layer_types: Array(layerCount).fill("full_attention"),
      num_local_experts: 0,
    }),
    ...(missing && { lopper: { schema: 1, layers: shapes } }),
  }, family);
  const described = architectureFromConfig(checkConfig(config, "config.json"), "config.json");
  const { architecture } = described;

  const entries: TensorEntry[] = [];
  const usual = isOnePlus(architecture.norm.kind) ? 0 : 1;
  const add = (name: string, shape: readonly number[], norm: boolean) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const value = () => {
      const unit = 2 * random.unit() - 1;
      // Rows of unit length keep activations and logits of order one.
      if (!norm) return 1.7 / Math.sqrt(shape.at(-1)!) * unit;
      return (normSpread ? normSpread ** unit : 1 + 0.2 * unit) - 1 + usual;
    };
    const values = Float32Array.from({ length: count }, value);
    const bytes = fromFloat32("F32", values);
    entries.push({ name, dtype: "F32", shape, data: () => Promise.resolve(bytes) });
  };
  for (const { role, name, shape } of declaredTensors(architecture, described.family)) {
    const isNorm = "weight" in role ? role.weight.endsWith("norm") : role.part === "finalNorm";
    add(name, shape, isNorm);
  }
  const sink = new MemorySink();
  await writeSafetensors(sink, packedEntries(architecture, described.family, entries));
  await sink.commit();
  return new MemoryFolder("tiny", {
    "config.json": JSON.stringify(config),
    "model.safetensors": sink.bytes,
  });
}

/** Whether the gain of a norm is 1 more than its weight. */
function isOnePlus(kind: NormKind): boolean {
  return kind === "rms1p" || kind === "layer1p";
}

/** A random ranking of the units of every block, in which groups take turns. */
export function randomRanking({ blocks }: Architecture, random: Random): Ranking {
  return blocks.map(({ dimensions }) =>
    Object.fromEntries(
      dimensions.map((one) => [one.name, inTurns(random.shuffled(unitCount(one)), one)]),
    )
  );
}

/** A random narrower shape; removed blocks and blocks of a single unit come often. */
export function randomShape({ blocks }: Architecture, random: Random): Shape {
  return blocks.map(({ dimensions }) => {
    const size = Object.fromEntries(dimensions.map(({ name, units, groups = 1 }) => {
      const left = random.chance(0.2) ? 1 : random.int(1, units / groups);
      return [name, groups * left];
    }));
    return random.chance(0.25) ? null : size;
  });
}

/** What a plan exercises, so that a test can say that everything occurred. */
export function traits(architecture: Architecture, plan: PrunePlan): string[] {
  const found: string[] = [architecture.family, architecture.tiedEmbeddings ? "tied" : "untied"];
  plan.layers.forEach(({ attention, experts, mlp = experts }) => {
    if (attention === "removed") found.push("attention removed");
    else if (attention.kvGroups.length === 1) found.push("one KV group");
    if (mlp === "removed") found.push("MLP removed");
    else if (mlp.channels?.length === 1) found.push("one channel");
    else if (mlp.experts?.length === 1) found.push("one expert");
    if (attention === "removed" && mlp === "removed") found.push("layer removed");
  });
  if (architecture.headDim % 16 !== 0) found.push("odd head size");
  found.push(...switches(architecture));
  if (plan.layers.every((layer) => Object.values(layer).every((units) => units === "removed"))) {
    found.push("no block left");
  }
  if (architecture.eitherOf) found.push("MLPs among mixtures");
  if (architecture.blocks.length < architecture.layerCount * blocksOfLayer(architecture)) {
    found.push("blocks missing before");
  }
  for (const block of architecture.blocks.filter(({ attention }) => attention)) {
    const { queryHeads, kvHeads } = headsOf(block);
    if (kvHeads === 1) found.push("one KV head before");
    if (queryHeads * architecture.headDim !== architecture.hiddenSize) {
      found.push("heads apart from hidden size");
    }
  }
  return found;
}

/** How tokens go to experts. */
function routingTraits(
  { softmaxOver, renormalised, factor, topGroups }: NonNullable<Block["routing"]>,
  weights: Block["weights"],
): string[] {
  const has = (name: string) => weights.some((weight) => weight.name === name);
  return [
    softmaxOver === null ? "sigmoids of scores" : `softmax over ${softmaxOver}`,
    ...renormalised ? ["renormalised"] : [],
    ...factor === undefined ? [] : ["routed factor"],
    ...topGroups === undefined ? [] : ["groups of experts"],
    ...has(CORRECTION) ? ["corrected choice"] : [],
    ...has("shared_up") ? [has("shared_router") ? "gated shared expert" : "shared expert"] : [],
  ];
}

/** What is out of the ordinary in what a model computes. */
function switches({ norm, outer, blocks, scaling = {}, headDim }: Architecture): string[] {
  const found: string[] = [norm.kind, ...outer, ...Object.keys(scaling)];
  if (!haveWeight(blocks, "norm")) found.push("no norm weights");
  for (const { kind, weights, placement = "pre", activation = "silu", ...block } of blocks) {
    found.push(placement, activation);
    if (block.routing) found.push(...routingTraits(block.routing, weights));
    if (kind === "mlp" && !weights.some(({ name }) => name === "gate")) found.push("no gate");
    if (block.parallel) found.push("parallel");
    if (block.multiplier !== undefined) found.push("multiplier");
    const { attention } = block;
    if (!attention) continue;
    const { rope, window, softCap, scale } = attention;
    if (rope === null) found.push("no rotation");
    if (rope?.channels) found.push("partial rotation");
    if (rope?.pairs) found.push(rope.pairs);
    if (window !== null) found.push("window");
    if (softCap !== null) found.push("soft cap");
    if (attention.clip !== undefined) found.push("clip");
    if (scale !== 1 / Math.sqrt(headDim)) found.push("scale");
  }
  if (ropesOf({ blocks }).length > 1) found.push("several ropes");
  return found;
}
