import type { GgufArchitecture, GgufFacts, GgufSetting } from "../architecture.ts";

/** Norms before and behind each block. */
export const SANDWICH: GgufArchitecture["tensors"] = {
  attention: { post_norm: "post_attention_norm.weight" },
  mlp: { post_norm: "post_ffw_norm.weight" },
};

const LOGIT_CAP: GgufSetting = {
  key: "final_logit_softcapping",
  config: "final_logit_softcapping",
  of: ({ scaling }) => scaling?.logitCap,
};
const SCORE_CAP: GgufSetting = {
  key: "attn_logit_softcapping",
  config: "attn_logit_softcapping",
  of: ({ blocks }) => blocks.find(({ attention }) => attention)?.attention?.softCap ?? undefined,
};
const EMBEDS: Pick<GgufArchitecture, "activation" | "embeds" | "head"> = {
  activation: "gelu_pytorch_tanh",
  embeds: ({ hiddenSize }) => Math.sqrt(hiddenSize),
};

/** Their scale is no key: llama.cpp knows the one large model that has its own by its layers. */
const scalar = (large: number) => ({ layers, hiddenSize, headDim, queryHeads }: GgufFacts) =>
  layers === large ? Math.floor(hiddenSize / queryHeads) : headDim;
const scaledBy = (large: number): Pick<GgufArchitecture, "implied" | "scale"> => ({
  implied: (facts) => ({ query_pre_attn_scalar: scalar(large)(facts) }),
  scale: (facts) => 1 / Math.sqrt(scalar(large)(facts)),
});

/** Gemma 1 to 3, text. Their files hold gains of norms, 1 + w. */
export const GEMMA: readonly GgufArchitecture[] = [
  { name: "gemma", modelType: "gemma", pairs: "halves", head: "embedding", ...EMBEDS },
  {
    name: "gemma2",
    modelType: "gemma2",
    pairs: "halves",
    head: "embedding",
    tensors: SANDWICH,
    // llama.cpp caps in every case.
    settings: [{ ...SCORE_CAP, absent: 50 }, { ...LOGIT_CAP, absent: 30 }],
    windows: { period: 2, absent: 4096 },
    ...EMBEDS,
    ...scaledBy(46),
  },
  {
    name: "gemma3",
    modelType: "gemma3_text",
    pairs: "halves",
    tensors: SANDWICH,
    settings: [LOGIT_CAP],
    windows: { period: 6, theta: 10_000, unscaled: true },
    ...EMBEDS,
    ...scaledBy(62),
  },
];
