import type { BlockTemplate, Family } from "./family.ts";
import { llama } from "./llama.ts";
import { renamed } from "./llama_blocks.ts";

/** Names of the norms behind blocks. */
const BEHIND: Readonly<Record<string, string>> = {
  attention: "post_attention_layernorm.weight",
  mlp: "post_feedforward_layernorm.weight",
};

const BLOCKS: readonly BlockTemplate[] = renamed(llama.blocks, {
  mlp: { norm: "pre_feedforward_layernorm.weight" },
}).map((block) => ({
  ...block,
  weights: {
    ...block.weights,
    post_norm: { tensor: BEHIND[block.kind], axes: ["hidden"], norm: true },
  },
}));

/**
 * Gemma 3, text (arXiv 2503.19786): norms before and behind each block, of q and k by head, and
 * five layers with a window for one without, which rotate by another base.
 */
export const gemma3: Family = {
  ...llama,
  modelType: "gemma3_text",
  className: "Gemma3",
  blocks: BLOCKS,
  norm: "rms1p",
  placement: "both",
  has: { ...llama.has, mlpBias: false, qkNorm: true },
  slidingWindow: "layer_types",
  slides: (layer, config) => (layer + 1) % config.count("sliding_window_pattern", 6) !== 0,
  keys: { hidden_act: "hidden_activation" },
  activation: "gelu_pytorch_tanh",
  defaults: {
    ...llama.defaults,
    maxPositions: 131_072,
    tied: true,
    ropeTheta: 1_000_000,
    kvHeads: 4,
    headDim: 256,
    slidingWindow: 4096,
  },
  settings: (config) => {
    config.only("use_bidirectional_attention", false);
    // Earlier configs have the two bases in keys of their own.
    const nested = hasNestedRopes(config.config.rope_parameters);
    const near = () => ({ theta: config.positive("rope_local_base_freq", 10_000), scaling: null });
    return {
      scaling: {
        embedding: Math.sqrt(config.count("hidden_size")),
        ...(config.has("final_logit_softcapping") && {
          logitCap: config.positive("final_logit_softcapping"),
        }),
      },
      attention: { scale: 1 / Math.sqrt(config.positive("query_pre_attn_scalar", 256)) },
      attentionOf: (_, window) => window === null || nested ? {} : { rope: near() },
    };
  },
};

function hasNestedRopes(parameters: unknown): boolean {
  return typeof parameters === "object" && parameters !== null &&
    "sliding_attention" in parameters;
}
