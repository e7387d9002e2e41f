import type { Family, Setting } from "./family.ts";
import { llama } from "./llama.ts";
import { renamed, withNormBiases, without } from "./llama_blocks.ts";

const BIAS: Setting = { key: "attention_bias", absent: true };

/**
 * GPT-NeoX (arXiv 2204.06745), Pythia: attention and a plain MLP side by side, each behind its own
 * norm. Rows of q, k and v of a head are stored together.
 */
export const gptNeox: Family = {
  ...llama,
  modelType: "gpt_neox",
  className: "GPTNeoX",
  blocks: withNormBiases(renamed(without(llama.blocks, "gate", "gate_bias"), {
    attention: {
      q: "attention.q_proj.weight",
      k: "attention.k_proj.weight",
      v: "attention.v_proj.weight",
      o: "attention.dense.weight",
      q_bias: "attention.q_proj.bias",
      k_bias: "attention.k_proj.bias",
      v_bias: "attention.v_proj.bias",
      o_bias: "attention.dense.bias",
    },
    mlp: {
      up: "mlp.dense_h_to_4h.weight",
      up_bias: "mlp.dense_h_to_4h.bias",
      down: "mlp.dense_4h_to_h.weight",
      down_bias: "mlp.dense_4h_to_h.bias",
    },
  })),
  norm: "layer",
  has: { qkvBias: BIAS, outputBias: BIAS, mlpBias: true },
  outer: ["finalNorm", "finalNormBias"],
  keys: {
    mlp_bias: null,
    num_key_value_heads: null,
    partial_rotary_factor: "rotary_pct",
    rms_norm_eps: "layer_norm_eps",
    rope_theta: "rotary_emb_base",
  },
  plainHeads: "fill",
  activation: "gelu",
  defaults: { ...llama.defaults, rmsNormEps: 1e-5, rotated: 0.25 },
  settings: (config) => ({ parallel: config.boolean("use_parallel_residual", true) }),
  packing: [
    {
      ...{ tensor: "attention.query_key_value.weight" },
      ...{ weights: ["q", "k", "v"], byUnit: true },
    },
    {
      ...{ tensor: "attention.query_key_value.bias" },
      ...{ weights: ["q_bias", "k_bias", "v_bias"], byUnit: true },
    },
  ],
  tensorNames: {
    embedding: "gpt_neox.embed_in.weight",
    finalNorm: "gpt_neox.final_layer_norm.weight",
    finalNormBias: "gpt_neox.final_layer_norm.bias",
    lmHead: "embed_out.weight",
    layer: "gpt_neox.layers.{l}.",
    // The causal mask and rotary frequencies, which checkpoints of 2023 carry as buffers.
    ignored: /\.(?:rotary_emb\.inv_freq|attention\.(?:bias|masked_bias))$/,
  },
};
