import type { BlockTemplate, Family } from "./family.ts";
import { llama } from "./llama.ts";

/** Words of Baichuan 2: only its checkpoints before `z_loss_weight` do not have that key. */
const SECOND_VOCABULARY = 125_696;

const BLOCKS: readonly BlockTemplate[] = llama.blocks.map((block) => ({
  ...block,
  weights: block.attended
    ? {
      ...block.weights,
      slopes: { tensor: "self_attn.slopes", axes: ["queryHeads"], of: "alibi" },
    }
    : block.weights,
}));

/**
 * Baichuan 1 and 2 (arXiv 2309.10305): a Llama whose q, k and v are one matrix. The 13B kind biases
 * scores by distance; rows of the second one's LM head have length 1.
 */
export const baichuan: Family = {
  ...llama,
  modelType: "baichuan",
  // Its own code lies beside the checkpoints, and is not run.
  className: null,
  blocks: BLOCKS,
  has: { alibi: { key: "alibi" } },
  keys: { attention_bias: null, mlp_bias: null, num_key_value_heads: null },
  usual: (config) => {
    const { max_position_embeddings: positions, model_max_length: longest } = config;
    // The 13B kind has no positions that anything is made for.
    return (positions ?? null) !== null || (longest ?? null) === null
      ? config
      : { ...config, max_position_embeddings: longest, alibi: true };
  },
  plainHeads: "fill",
  defaults: { ...llama.defaults, maxPositions: 4096 },
  settings: (config) => {
    const isSecond = config.has("z_loss_weight") ||
      config.count("vocab_size") === SECOND_VOCABULARY;
    return {
      ...(isSecond && { scaling: { unitHead: true } }),
      ...(config.boolean("alibi", false) && { attention: { rope: null } }),
    };
  },
  packing: [{ tensor: "self_attn.W_pack.weight", weights: ["q", "k", "v"] }],
  computed: { slopes },
};

/**
 * What ALiBi multiplies distances with, a head each (arXiv 2108.12409, section 3): for n heads the
 * powers of 2 to the −8/n; beyond a power of two, every other one of those for twice as many.
 */
function slopes(heads: number): Float32Array {
  const whole = 2 ** Math.floor(Math.log2(heads));
  return Float32Array.from({ length: heads }, (_, head) => {
    const exponent = head < whole ? (head + 1) / whole : (2 * (head - whole) + 1) / (2 * whole);
    return 2 ** (-8 * exponent);
  });
}
