import type { BlockTemplate, Family } from "./family.ts";
import { llama } from "./llama.ts";
import { withExperts } from "./mixture_blocks.ts";

const BIASES = { key: "attention_bias", absent: true } as const;

/**
 * gpt-oss (arXiv 2508.10925), its weights dequantised: attention sinks, windows in every other
 * layer, and mixtures of experts with biases and a limited gate.
 */
export const gptOss: Family = {
  ...llama,
  modelType: "gpt_oss",
  className: "GptOss",
  blocks: withExperts(withSinks(llama.blocks), { at: "mlp.", router: "router", biases: true }),
  has: { qkvBias: BIASES, outputBias: BIASES, sinks: true },
  slidingWindow: "layer_types",
  slides: (layer) => layer % 2 === 0,
  keys: { num_experts: "num_local_experts" },
  plainHeads: "any",
  defaults: {
    ...llama.defaults,
    maxPositions: 131_072,
    rmsNormEps: 1e-5,
    ropeTheta: 150_000,
    kvHeads: 8,
    headDim: 64,
    slidingWindow: 128,
  },
  settings: (config) => ({
    experts: {
      count: config.count("num_experts", 128),
      channels: config.count("intermediate_size"),
      routing: { topK: config.count("num_experts_per_tok", 4), softmaxOver: "chosen" },
      gating: {
        alpha: config.positive("swiglu_alpha", 1.702),
        limit: config.positive("swiglu_limit", 7),
      },
    },
  }),
  // Rows of gate and up take turns.
  packing: [
    {
      ...{ tensor: "mlp.experts.gate_up_proj", weights: ["gate", "up"] },
      ...{ kind: "experts", stacked: true, transposed: true, byUnit: true },
    },
    {
      ...{ tensor: "mlp.experts.gate_up_proj_bias", weights: ["gate_bias", "up_bias"] },
      ...{ kind: "experts", stacked: true, byUnit: true },
    },
    {
      ...{ tensor: "mlp.experts.down_proj", weights: ["down"] },
      ...{ kind: "experts", stacked: true, transposed: true },
    },
    {
      ...{ tensor: "mlp.experts.down_proj_bias", weights: ["down_bias"] },
      ...{ kind: "experts", stacked: true },
    },
  ],
};

/** The same blocks where attention has a score in each head that no token is given. */
function withSinks(blocks: readonly BlockTemplate[]): readonly BlockTemplate[] {
  return blocks.map((block) =>
    !block.attended ? block : {
      ...block,
      weights: {
        ...block.weights,
        sinks: { tensor: "self_attn.sinks", axes: ["queryHeads"], of: "sinks" },
      },
    }
  );
}
