import { blockTensorName, type BlockWeight, type TensorNames } from "../families/family.ts";
import type { WeightRole } from "../model.ts";

/** Names outside the layers, by what they are (gguf-py, constants.py, `TENSOR_NAMES`). */
export const EMBEDDING = "token_embd.weight";
export const LM_HEAD = "output.weight";
const FINAL_NORM = "output_norm.weight";
/** Factors by which rotary frequencies are divided; no weight. */
export const ROPE_FACTORS = "rope_freqs.weight";

const ATTENTION: Readonly<Record<string, BlockWeight>> = {
  "attn_norm.weight": "norm",
  "attn_q.weight": "q",
  "attn_k.weight": "k",
  "attn_v.weight": "v",
  "attn_output.weight": "o",
  "attn_q.bias": "q_bias",
  "attn_k.bias": "k_bias",
  "attn_v.bias": "v_bias",
  "attn_output.bias": "o_bias",
  "attn_q_norm.weight": "q_norm",
  "attn_k_norm.weight": "k_norm",
};
const MLP: Readonly<Record<string, BlockWeight>> = {
  "ffn_norm.weight": "norm",
  "ffn_gate.weight": "gate",
  "ffn_up.weight": "up",
  "ffn_down.weight": "down",
  "ffn_gate.bias": "gate_bias",
  "ffn_up.bias": "up_bias",
  "ffn_down.bias": "down_bias",
};

/** Weights whose rows llama.cpp lays out in pairs where the architecture rotates neighbours. */
const ROTATED = /^blk\.\d+\.attn_[qk]\.(weight|bias)$/;

export function isRotated(name: string): boolean {
  return ROTATED.test(name);
}

/** What GGUF calls a weight. `layer` is its layer in the file. */
export function ggufTensorName(role: WeightRole, layer: number): string {
  if (role.part !== "attention" && role.part !== "mlp") {
    return { embedding: EMBEDDING, finalNorm: FINAL_NORM, lmHead: LM_HEAD }[role.part];
  }
  const { part, weight } = role;
  const names = Object.entries(part === "attention" ? ATTENTION : MLP);
  const [name] = names.find(([, named]) => named === weight)!;
  return `blk.${layer}.${name}`;
}

/** What a family calls the tensor of this name in GGUF; undefined where it is none of a decoder's weights. */
export function familyTensorName(names: TensorNames, name: string): string | undefined {
  if (name === EMBEDDING) return names.embedding;
  if (name === FINAL_NORM) return names.finalNorm;
  if (name === LM_HEAD) return names.lmHead;
  const [, layer, rest] = /^blk\.(0|[1-9]\d{0,4})\.(.+)$/.exec(name) ?? [];
  if (rest === undefined) return undefined;
  const ref = { layer: Number(layer) };
  if (Object.hasOwn(ATTENTION, rest)) {
    return blockTensorName(names, { ...ref, kind: "attention" }, ATTENTION[rest]);
  }
  if (Object.hasOwn(MLP, rest)) return blockTensorName(names, { ...ref, kind: "mlp" }, MLP[rest]);
  return undefined;
}
