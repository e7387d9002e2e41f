import type { GgufArchitecture, GgufFacts, GgufSetting } from "../architecture.ts";

/** Norms before and behind each block. */
const SANDWICH: GgufArchitecture["tensors"] = {
  attention: { post_norm: "post_attention_norm.weight" },
  mlp: { post_norm: "post_ffw_norm.weight" },
};

const LOGIT_CAP: GgufSetting = {
  key: "final_logit_softcapping",
  config: "final_logit_softcapping",
  of: ({ scaling }) => scaling?.logitCap,
};
/** Their scale is no key: llama.cpp knows the one large model that has its own by its layers. */
const scalar = (large: number) => ({ layers, hiddenSize, headDim, queryHeads }: GgufFacts) =>
  layers === large ? Math.floor(hiddenSize / queryHeads) : headDim;
const scaledBy = (large: number): Pick<GgufArchitecture, "implied" | "scale" | "embeds"> => ({
  implied: (facts) => ({ query_pre_attn_scalar: scalar(large)(facts) }),
  embeds: ({ hiddenSize }) => Math.sqrt(hiddenSize),
  scale: (facts) => 1 / Math.sqrt(scalar(large)(facts)),
});

/** Gemma 1 to 3, text. Their files hold gains of norms, 1 + w. */
export const GEMMA: readonly GgufArchitecture[] = [
  {
    name: "gemma3",
    modelType: "gemma3_text",
    pairs: "halves",
    activation: "gelu_pytorch_tanh",
    tensors: SANDWICH,
    settings: [LOGIT_CAP],
    windows: { period: 6, theta: 10_000 },
    ...scaledBy(62),
  },
];
