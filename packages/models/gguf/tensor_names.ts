import { blockTensorName, type Family } from "../families/family.ts";
import type { WeightRole } from "../model.ts";

/** Names outside the layers, by what they are (gguf-py, constants.py, `TENSOR_NAMES`). */
export const EMBEDDING = "token_embd.weight";
export const LM_HEAD = "output.weight";
const FINAL_NORM = "output_norm.weight";
/** Factors by which rotary frequencies are divided; no weight. */
export const ROPE_FACTORS = "rope_freqs.weight";

const OUTER = {
  embedding: EMBEDDING,
  positions: "position_embd.weight",
  finalNorm: FINAL_NORM,
  finalNormBias: "output_norm.bias",
  lmHead: LM_HEAD,
  lmHeadBias: "output.bias",
} as const;

/** Weights of a layer, by the kind of their block. */
const IN_LAYER: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  attention: {
    norm: "attn_norm.weight",
    q: "attn_q.weight",
    k: "attn_k.weight",
    v: "attn_v.weight",
    o: "attn_output.weight",
    q_bias: "attn_q.bias",
    k_bias: "attn_k.bias",
    v_bias: "attn_v.bias",
    o_bias: "attn_output.bias",
    q_norm: "attn_q_norm.weight",
    k_norm: "attn_k_norm.weight",
  },
  mlp: {
    norm: "ffn_norm.weight",
    gate: "ffn_gate.weight",
    up: "ffn_up.weight",
    down: "ffn_down.weight",
    gate_bias: "ffn_gate.bias",
    up_bias: "ffn_up.bias",
    down_bias: "ffn_down.bias",
  },
};

/** Weights whose rows llama.cpp lays out in pairs where the architecture rotates neighbours. */
const ROTATED = /^blk\.\d+\.attn_[qk]\.(weight|bias)$/;

export function isRotated(name: string): boolean {
  return ROTATED.test(name);
}

/** What GGUF calls a weight. `layer` is its layer in the file. */
export function ggufTensorName(role: WeightRole, layer: number): string {
  if (!("layer" in role)) {
    return OUTER[role.part];
  }
  return `blk.${layer}.${IN_LAYER[role.part][role.weight]}`;
}

/**
 * What a family calls the tensor of this name in GGUF; undefined where it is none of a decoder's
 * weights.
 */
export function familyTensorName(family: Family, name: string): string | undefined {
  const { embedding, finalNorm, lmHead } = family.tensorNames;
  if (name === EMBEDDING) return embedding;
  if (name === FINAL_NORM) return finalNorm;
  if (name === LM_HEAD) return lmHead;
  const [, layer, rest] = /^blk\.(0|[1-9]\d{0,4})\.(.+)$/.exec(name) ?? [];
  if (rest === undefined) return undefined;
  for (const [kind, names] of Object.entries(IN_LAYER)) {
    const found = Object.entries(names).find(([, named]) => named === rest);
    if (found) return blockTensorName(family, { layer: Number(layer), kind }, found[0]);
  }
  return undefined;
}
