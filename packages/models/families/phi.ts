import type { Family } from "./family.ts";
import { llama } from "./llama.ts";
import { renamed, withNormBiases, without, withSharedNorm } from "./llama_blocks.ts";

const NAMED = renamed(without(llama.blocks, "gate", "gate_bias"), {
  attention: {
    o: "self_attn.dense.weight",
    o_bias: "self_attn.dense.bias",
    q_norm: "self_attn.q_layernorm.weight",
    k_norm: "self_attn.k_layernorm.weight",
  },
  mlp: {
    up: "mlp.fc1.weight",
    up_bias: "mlp.fc1.bias",
    down: "mlp.fc2.weight",
    down_bias: "mlp.fc2.bias",
  },
});

/** Phi-1, 1.5 and 2 (arXiv 2309.05463): attention beside a plain MLP, biases everywhere. */
export const phi: Family = {
  ...llama,
  modelType: "phi",
  className: "Phi",
  blocks: withNormBiases(withSharedNorm(NAMED)),
  norm: "layer",
  has: {
    qkvBias: true,
    outputBias: true,
    mlpBias: true,
    qkNorm: { key: "qk_layernorm" },
  },
  outer: ["finalNorm", "finalNormBias", "lmHeadBias"],
  keys: { rms_norm_eps: "layer_norm_eps" },
  plainHeads: "any",
  activation: "gelu_new",
  defaults: { ...llama.defaults, rmsNormEps: 1e-5, rotated: 0.5 },
  settings: () => ({ parallel: true }),
  tensorNames: {
    ...llama.tensorNames,
    finalNorm: "model.final_layernorm.weight",
    finalNormBias: "model.final_layernorm.bias",
    lmHeadBias: "lm_head.bias",
  },
};
