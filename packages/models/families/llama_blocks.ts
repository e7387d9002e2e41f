import type { BlockTemplate } from "./family.ts";

/**
 * The anatomy of a Llama layer, under the tensor names of transformers. Attention loses KV groups:
 * a KV head, with its rows of k and v, and the query heads that read it, with their rows of q and
 * columns of o. A SwiGLU MLP loses channels: rows of gate and up, columns of down. A bias goes with
 * its rows.
 */
export const LLAMA_BLOCKS: readonly BlockTemplate[] = [{
  kind: "attention",
  dimension: "kvGroups",
  attended: "queries",
  weights: {
    norm: { tensor: "input_layernorm.weight", axes: ["hidden"], norm: true },
    q: { tensor: "self_attn.q_proj.weight", axes: ["queries", "hidden"] },
    k: { tensor: "self_attn.k_proj.weight", axes: ["keys", "hidden"] },
    v: { tensor: "self_attn.v_proj.weight", axes: ["keys", "hidden"] },
    o: { tensor: "self_attn.o_proj.weight", axes: ["hidden", "queries"] },
    q_bias: { tensor: "self_attn.q_proj.bias", axes: ["queries"], of: "qkvBias" },
    k_bias: { tensor: "self_attn.k_proj.bias", axes: ["keys"], of: "qkvBias" },
    v_bias: { tensor: "self_attn.v_proj.bias", axes: ["keys"], of: "qkvBias" },
    o_bias: { tensor: "self_attn.o_proj.bias", axes: ["hidden"], of: "outputBias" },
    q_norm: { tensor: "self_attn.q_norm.weight", axes: ["normedQueries"], of: "qkNorm" },
    k_norm: { tensor: "self_attn.k_norm.weight", axes: ["normedKeys"], of: "qkNorm" },
  },
}, {
  kind: "mlp",
  dimension: "channels",
  weights: {
    norm: { tensor: "post_attention_layernorm.weight", axes: ["hidden"], norm: true },
    gate: { tensor: "mlp.gate_proj.weight", axes: ["channels", "hidden"] },
    up: { tensor: "mlp.up_proj.weight", axes: ["channels", "hidden"] },
    down: { tensor: "mlp.down_proj.weight", axes: ["hidden", "channels"] },
    gate_bias: { tensor: "mlp.gate_proj.bias", axes: ["channels"], of: "mlpBias" },
    up_bias: { tensor: "mlp.up_proj.bias", axes: ["channels"], of: "mlpBias" },
    down_bias: { tensor: "mlp.down_proj.bias", axes: ["hidden"], of: "mlpBias" },
  },
}];

/** The same blocks with some weights under other tensor names, by kind of block. */
export function renamed(
  blocks: readonly BlockTemplate[],
  names: Readonly<Record<string, Readonly<Record<string, string>>>>,
): readonly BlockTemplate[] {
  return blocks.map((block) => {
    const weights = Object.entries(names[block.kind] ?? {}).map(([weight, tensor]) => [
      weight,
      { ...block.weights[weight], tensor },
    ]);
    return { ...block, weights: { ...block.weights, ...Object.fromEntries(weights) } };
  });
}

/** The same blocks without the weights of these names. */
export function without(
  blocks: readonly BlockTemplate[],
  ...names: readonly string[]
): readonly BlockTemplate[] {
  return blocks.map((block) => ({
    ...block,
    weights: Object.fromEntries(
      Object.entries(block.weights).filter(([name]) => !names.includes(name)),
    ),
  }));
}

/** The same blocks with a bias beside the weight of every norm, of queries and keys too. */
export function withNormBiases(blocks: readonly BlockTemplate[]): readonly BlockTemplate[] {
  return blocks.map((block) => ({
    ...block,
    weights: Object.fromEntries(
      Object.entries(block.weights).flatMap(([name, weight]) => {
        if (!name.endsWith("norm")) return [[name, weight]];
        const tensor = weight.tensor.replace(/weight$/, "bias");
        return [[name, weight], [`${name}_bias`, { ...weight, tensor }]];
      }),
    ),
  }));
}

/** The same blocks where the MLP of a layer reads what attention reads, by one norm for both. */
export function withSharedNorm(
  [attention, ...others]: readonly BlockTemplate[],
): readonly BlockTemplate[] {
  const { norm } = attention.weights;
  return [
    attention,
    ...others.map((block) => ({
      ...block,
      weights: { ...block.weights, norm: { ...norm, shared: true as const } },
    })),
  ];
}
