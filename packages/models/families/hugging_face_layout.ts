import type { PruneGroup } from "@lopper/core";
import type { FamilyDefaults, TensorNames } from "./family.ts";

/** The tensor names that transformers gives Llama and the families derived from it. */
export const LLAMA_TENSOR_NAMES: TensorNames = {
  embedding: "model.embed_tokens.weight",
  finalNorm: "model.norm.weight",
  lmHead: "lm_head.weight",
  attention: {
    norm: "model.layers.{l}.input_layernorm.weight",
    q: "model.layers.{l}.self_attn.q_proj.weight",
    k: "model.layers.{l}.self_attn.k_proj.weight",
    v: "model.layers.{l}.self_attn.v_proj.weight",
    o: "model.layers.{l}.self_attn.o_proj.weight",
    q_bias: "model.layers.{l}.self_attn.q_proj.bias",
    k_bias: "model.layers.{l}.self_attn.k_proj.bias",
    v_bias: "model.layers.{l}.self_attn.v_proj.bias",
    o_bias: "model.layers.{l}.self_attn.o_proj.bias",
    q_norm: "model.layers.{l}.self_attn.q_norm.weight",
    k_norm: "model.layers.{l}.self_attn.k_norm.weight",
  },
  mlp: {
    norm: "model.layers.{l}.post_attention_layernorm.weight",
    gate: "model.layers.{l}.mlp.gate_proj.weight",
    up: "model.layers.{l}.mlp.up_proj.weight",
    down: "model.layers.{l}.mlp.down_proj.weight",
    gate_bias: "model.layers.{l}.mlp.gate_proj.bias",
    up_bias: "model.layers.{l}.mlp.up_proj.bias",
    down_bias: "model.layers.{l}.mlp.down_proj.bias",
  },
  // Rotary frequencies follow from the config; checkpoints of 2023 still carry them as buffers.
  ignored: /\.rotary_emb\.inv_freq$/,
};

/** What absent keys mean in Llama, and in the families derived from it where they do not say otherwise. */
export const LLAMA_DEFAULTS: FamilyDefaults = {
  maxPositions: 2048,
  rmsNormEps: 1e-6,
  ropeTheta: 10_000,
  kvHeads: "heads",
  headDim: "hidden/heads",
  slidingWindow: null,
  maxWindowLayers: 0,
};
/** The same for Qwen. */
export const QWEN_DEFAULTS: FamilyDefaults = {
  ...LLAMA_DEFAULTS,
  maxPositions: 32_768,
  kvHeads: 32,
  slidingWindow: 4096,
  maxWindowLayers: 28,
};

/** Which axes shrink together in a Llama-shaped block: a bias goes with its rows, o and down lose columns. */
export const LLAMA_PRUNE_GROUPS: Readonly<Record<"attention" | "mlp", PruneGroup>> = {
  attention: {
    unit: "kvGroups",
    axes: [
      { weight: "q", axis: 0, span: "query" },
      { weight: "k", axis: 0, span: "kv" },
      { weight: "v", axis: 0, span: "kv" },
      { weight: "o", axis: 1, span: "query" },
      { weight: "q_bias", axis: 0, span: "query" },
      { weight: "k_bias", axis: 0, span: "kv" },
      { weight: "v_bias", axis: 0, span: "kv" },
    ],
  },
  mlp: {
    unit: "channels",
    axes: [
      { weight: "gate", axis: 0, span: "channel" },
      { weight: "up", axis: 0, span: "channel" },
      { weight: "down", axis: 1, span: "channel" },
      { weight: "gate_bias", axis: 0, span: "channel" },
      { weight: "up_bias", axis: 0, span: "channel" },
    ],
  },
};
