import type { GgufArchitecture } from "../architecture.ts";

/** Llama, and what differs from it by biases or by norms of q and k. */
export const LLAMA: readonly GgufArchitecture[] = [
  {
    name: "llama",
    modelType: "llama",
    // Without a window the two are the same.
    windowed: "mistral",
    pairs: "neighbours",
    fullHeads: "biased",
    windows: { period: "all" },
  },
  {
    name: "qwen2",
    modelType: "qwen2",
    pairs: "halves",
    fullHeads: "biased",
    windows: { period: "all" },
  },
  {
    name: "qwen3",
    modelType: "qwen3",
    pairs: "halves",
    fullHeads: "biased",
    windows: { period: "all" },
  },
  // Llama whose layers differ: what NVIDIA pruned (DeciLM, Nemotron), and what Lopper writes.
  {
    name: "deci",
    modelType: "llama",
    pairs: "neighbours",
    byLayer: true,
    sparse: true,
    windowed: "mistral",
    windows: { period: "all" },
  },
];
