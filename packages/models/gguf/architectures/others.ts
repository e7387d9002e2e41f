import type { GgufArchitecture } from "../architecture.ts";

/** Norms behind blocks, and no others. */
const BEHIND: GgufArchitecture["tensors"] = {
  attention: { norm: "post_attention_norm.weight" },
  mlp: { norm: "post_ffw_norm.weight" },
};

/** OLMo 1 to 3. */
const OLMO: readonly GgufArchitecture[] = [
  { name: "olmo", modelType: "olmo", pairs: "neighbours", fullHeads: true },
  {
    name: "olmo2",
    modelType: "olmo2",
    windowed: "olmo3",
    pairs: "halves",
    fullHeads: true,
    head: "own",
    tensors: BEHIND,
    windows: { period: 4 },
  },
];

const PHI: readonly GgufArchitecture[] = [
  {
    name: "phi3",
    modelType: "phi3",
    pairs: "halves",
    partialRotation: true,
    fullHeads: true,
    packed: {
      attention: { attn_qkv: ["q", "k", "v"] },
      mlp: { ffn_up: ["gate", "up"] },
    },
    windows: { period: "all" },
  },
];

/** Of other makers. */
export const OTHERS: readonly GgufArchitecture[] = [
  { name: "arcee", modelType: "arcee", pairs: "neighbours", activation: "relu2" },
  {
    name: "seed_oss",
    modelType: "seed_oss",
    pairs: "halves",
    tensors: { mlp: { norm: "post_attention_norm.weight" } },
  },
  {
    name: "starcoder2",
    modelType: "starcoder2",
    pairs: "halves",
    activation: "gelu_pytorch_tanh",
    fullHeads: true,
    windows: { period: "all" },
  },
  ...OLMO,
  ...PHI,
];
