import type { BlockTemplate, Family, PackedTensor } from "./family.ts";
import { llama } from "./llama.ts";
import { withExperts } from "./mixture_blocks.ts";

const BIASES = { key: "attention_bias", absent: true } as const;

type Packed = Omit<PackedTensor, "tensor">;

const OF_EXPERTS: Omit<Packed, "weights"> = { kind: "experts", stacked: true };
/** Rows of gate and up take turns. */
const GATE_UP: Packed = { ...OF_EXPERTS, weights: ["gate", "up"], byUnit: true };
const DOWN: Packed = { ...OF_EXPERTS, weights: ["down"] };
const BIASES_OF_EXPERTS: readonly PackedTensor[] = [
  {
    ...{ ...OF_EXPERTS, byUnit: true, weights: ["gate_bias", "up_bias"] },
    tensor: "mlp.experts.gate_up_proj_bias",
  },
  { ...OF_EXPERTS, weights: ["down_bias"], tensor: "mlp.experts.down_proj_bias" },
];

/**
 * gpt-oss (arXiv 2508.10925): attention sinks, windows in every other layer, and mixtures of
 * experts with biases and a limited gate, whose matrices are published in MXFP4.
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
  packing: [
    { ...GATE_UP, tensor: "mlp.experts.gate_up_proj", transposed: true },
    { ...DOWN, tensor: "mlp.experts.down_proj", transposed: true },
    ...BIASES_OF_EXPERTS,
  ],
  mxfp4: true,
  otherPackings: [[
    { ...GATE_UP, tensor: "mlp.experts.gate_up_proj_blocks" },
    { ...DOWN, tensor: "mlp.experts.down_proj_blocks" },
    ...BIASES_OF_EXPERTS,
  ]],
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
