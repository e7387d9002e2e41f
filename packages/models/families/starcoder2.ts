import type { Family, Setting } from "./family.ts";
import { llama } from "./llama.ts";
import { renamed, withNormBiases, without } from "./llama_blocks.ts";

const BIAS: Setting = { key: "use_bias", absent: true };

/** StarCoder 2 (arXiv 2402.19173): layer norms, plain MLPs, biases. */
export const starcoder2: Family = {
  ...llama,
  modelType: "starcoder2",
  className: "Starcoder2",
  blocks: withNormBiases(renamed(without(llama.blocks, "gate", "gate_bias"), {
    mlp: {
      up: "mlp.c_fc.weight",
      up_bias: "mlp.c_fc.bias",
      down: "mlp.c_proj.weight",
      down_bias: "mlp.c_proj.bias",
    },
  })),
  norm: "layer",
  has: { qkvBias: BIAS, outputBias: BIAS, mlpBias: BIAS },
  outer: ["finalNorm", "finalNormBias"],
  slidingWindow: "sliding_window",
  keys: { rms_norm_eps: "norm_epsilon", attention_bias: null, mlp_bias: null },
  plainHeads: "any",
  activation: "gelu_pytorch_tanh",
  defaults: {
    ...llama.defaults,
    maxPositions: 4096,
    rmsNormEps: 1e-5,
    tied: true,
    kvHeads: 2,
  },
  tensorNames: { ...llama.tensorNames, finalNormBias: "model.norm.bias" },
};
