import type { GgufArchitecture } from "../architecture.ts";

/** Divisors of Llama 3, or of LongRoPE. */
export const LLAMA_ROPE: GgufArchitecture["rope"] = { divisors: true, factors: true };

/** Llama, and what differs from it by biases or by norms of q and k. */
export const LLAMA: readonly GgufArchitecture[] = [
  {
    name: "llama",
    modelType: "llama",
    // Without a window the two are the same.
    windowed: "mistral",
    pairs: "neighbours",
    rope: LLAMA_ROPE,
    windows: { period: "all" },
  },
  {
    name: "qwen2",
    modelType: "qwen2",
    pairs: "halves",
    fullHeads: true,
    windows: { period: "all" },
  },
  {
    name: "qwen3",
    modelType: "qwen3",
    pairs: "halves",
    windows: { period: "all" },
  },
  // Llama whose layers differ: what NVIDIA pruned (DeciLM, Nemotron), and what Lopper writes.
  {
    name: "deci",
    modelType: "llama",
    pairs: "neighbours",
    byLayer: true,
    sparse: true,
    beside: "biases",
    biased: "qwen2",
    rope: LLAMA_ROPE,
    windowed: "mistral",
    windows: { period: "all" },
  },
  {
    name: "mistral3",
    modelType: "ministral3",
    unscaled: "mistral",
    pairs: "neighbours",
    rope: { ...LLAMA_ROPE, betas: true, grows: true },
  },
  // Qwen3 whose layers differ: Apple's OpenELM (arXiv 2404.14619) computes the same, and its layers
  // do, too.
  {
    name: "openelm",
    modelType: "qwen3",
    pairs: "halves",
    byLayer: true,
    beside: "norms of heads",
    head: "embedding",
    packed: { attention: { attn_qkv: ["q", "k", "v"] } },
  },
];
