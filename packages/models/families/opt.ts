import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { renamed, withNormBiases, without } from "./llama_blocks.ts";

const BLOCKS = withNormBiases(renamed(without(llama.blocks, "gate", "gate_bias"), {
  attention: {
    norm: "self_attn_layer_norm.weight",
    o: "self_attn.out_proj.weight",
    o_bias: "self_attn.out_proj.bias",
  },
  mlp: {
    norm: "final_layer_norm.weight",
    up: "fc1.weight",
    up_bias: "fc1.bias",
    down: "fc2.weight",
    down_bias: "fc2.bias",
  },
}));

/** OPT (arXiv 2205.01068): learned positions, of which the first two rows are of padding. */
export const opt: Family = {
  ...llama,
  modelType: "opt",
  className: "OPT",
  blocks: BLOCKS,
  norm: "layer",
  has: {
    qkvBias: { key: "enable_bias", absent: true },
    outputBias: { key: "enable_bias", absent: true },
    mlpBias: { key: "enable_bias", absent: true },
  },
  outer: ["positions", "finalNorm", "finalNormBias"],
  keys: {
    intermediate_size: "ffn_dim",
    hidden_act: "activation_function",
    attention_bias: null,
    mlp_bias: null,
    num_key_value_heads: null,
    partial_rotary_factor: null,
    rms_norm_eps: null,
    rope_parameters: null,
    rope_scaling: null,
    rope_theta: null,
  },
  plainHeads: "fill",
  // Its ε is that of torch.
  activation: "relu",
  defaults: { ...llama.defaults, rmsNormEps: 1e-5, tied: true },
  settings: (config) => {
    // 350M has norms of the sums behind its blocks, and projects its embedding.
    config.only("do_layer_norm_before", true);
    config.only("_remove_final_layer_norm", false);
    config.only("word_embed_proj_dim", config.count("hidden_size"));
    return { scaling: { positionOffset: 2 }, attention: { rope: null } };
  },
  variant: (config) =>
    config.boolean("layer_norm_elementwise_affine", true)
      ? {}
      : { blocks: without(BLOCKS, "norm", "norm_bias"), outer: ["positions"] },
  tensorNames: {
    embedding: "model.decoder.embed_tokens.weight",
    positions: "model.decoder.embed_positions.weight",
    finalNorm: "model.decoder.final_layer_norm.weight",
    finalNormBias: "model.decoder.final_layer_norm.bias",
    lmHead: "lm_head.weight",
    layer: "model.decoder.layers.{l}.",
    ignored: llama.tensorNames.ignored,
  },
};
