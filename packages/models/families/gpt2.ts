import type { Family, PackedTensor } from "./family.ts";
import { llama } from "./llama.ts";
import { renamed, withNormBiases, without } from "./llama_blocks.ts";

/** A matrix `[in, out]`. */
const turned = (tensor: string, ...weights: string[]): PackedTensor => ({
  ...{ tensor, weights, transposed: true },
});

/** GPT-2: learned positions, layer norms, plain MLPs, biases, matrices `[in, out]`. */
export const gpt2: Family = {
  ...llama,
  modelType: "gpt2",
  className: "GPT2",
  generatingClass: "GPT2LMHeadModel",
  blocks: withNormBiases(renamed(without(llama.blocks, "gate", "gate_bias"), {
    attention: {
      norm: "ln_1.weight",
      q: "attn.q_proj.weight",
      k: "attn.k_proj.weight",
      v: "attn.v_proj.weight",
      o: "attn.c_proj.weight",
      q_bias: "attn.q_proj.bias",
      k_bias: "attn.k_proj.bias",
      v_bias: "attn.v_proj.bias",
      o_bias: "attn.c_proj.bias",
    },
    mlp: {
      norm: "ln_2.weight",
      up: "mlp.c_fc.weight",
      up_bias: "mlp.c_fc.bias",
      down: "mlp.c_proj.weight",
      down_bias: "mlp.c_proj.bias",
    },
  })),
  norm: "layer",
  has: { qkvBias: true, outputBias: true, mlpBias: true },
  outer: ["positions", "finalNorm", "finalNormBias"],
  keys: {
    hidden_size: "n_embd",
    num_hidden_layers: "n_layer",
    num_attention_heads: "n_head",
    intermediate_size: "n_inner",
    max_position_embeddings: "n_positions",
    hidden_act: "activation_function",
    rms_norm_eps: "layer_norm_epsilon",
    attention_bias: null,
    mlp_bias: null,
    num_key_value_heads: null,
    partial_rotary_factor: null,
    rope_parameters: null,
    rope_scaling: null,
    rope_theta: null,
  },
  plainHeads: "fill",
  activation: "gelu_new",
  defaults: {
    ...llama.defaults,
    maxPositions: 1024,
    rmsNormEps: 1e-5,
    tied: true,
    intermediate: 4,
  },
  settings: (config) => {
    config.only("add_cross_attention", false);
    // Scores of each layer in another scale: what layers are gone could not be said.
    config.only("scale_attn_by_inverse_layer_idx", false);
    const scaled = config.boolean("scale_attn_weights", true);
    return { attention: { rope: null, ...(!scaled && { scale: 1 }) } };
  },
  packing: [
    turned("attn.c_attn.weight", "q", "k", "v"),
    {
      ...{ tensor: "attn.c_attn.bias" },
      weights: ["q_bias", "k_bias", "v_bias"],
    },
    turned("attn.c_proj.weight", "o"),
    turned("mlp.c_fc.weight", "up"),
    turned("mlp.c_proj.weight", "down"),
  ],
  tensorNames: {
    embedding: "transformer.wte.weight",
    positions: "transformer.wpe.weight",
    finalNorm: "transformer.ln_f.weight",
    finalNormBias: "transformer.ln_f.bias",
    lmHead: "lm_head.weight",
    layer: "transformer.h.{l}.",
    // The causal mask, which checkpoints carry as a buffer.
    ignored: /\.attn\.(?:bias|masked_bias)$/,
  },
};
