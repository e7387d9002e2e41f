import { blockTensorName, type Family } from "../families/family.ts";
import type { OuterWeight, WeightRole } from "../model.ts";
import type { GgufArchitecture } from "./architecture.ts";

/** Names outside the layers, by what they are (gguf-py, constants.py, `TENSOR_NAMES`). */
export const EMBEDDING = "token_embd.weight";
export const LM_HEAD = "output.weight";
/** Factors by which rotary frequencies are divided, or those of texts of either length. */
export const ROPE_FACTORS = "rope_freqs.weight";
export const LONG_FACTORS = "rope_factors_long.weight";
export const SHORT_FACTORS = "rope_factors_short.weight";
/** Tensors that are no weights. */
export const FACTOR_TENSORS: readonly string[] = [ROPE_FACTORS, LONG_FACTORS, SHORT_FACTORS];

const OUTER = {
  embedding: EMBEDDING,
  positions: "position_embd.weight",
  finalNorm: "output_norm.weight",
  finalNormBias: "output_norm.bias",
  lmHead: LM_HEAD,
  lmHeadBias: "output.bias",
} as const satisfies Readonly<Record<OuterWeight, string>>;

/** Weights of a layer, by the kind of their block, unless the architecture says otherwise. */
const IN_LAYER: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  attention: {
    norm: "attn_norm.weight",
    norm_bias: "attn_norm.bias",
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
    sinks: "attn_sinks.weight",
  },
  mlp: {
    norm: "ffn_norm.weight",
    norm_bias: "ffn_norm.bias",
    gate: "ffn_gate.weight",
    up: "ffn_up.weight",
    down: "ffn_down.weight",
    gate_bias: "ffn_gate.bias",
    up_bias: "ffn_up.bias",
    down_bias: "ffn_down.bias",
  },
  experts: {
    norm: "ffn_norm.weight",
    router: "ffn_gate_inp.weight",
    correction: "exp_probs_b.bias",
    gate: "ffn_gate_exps.weight",
    up: "ffn_up_exps.weight",
    down: "ffn_down_exps.weight",
    router_bias: "ffn_gate_inp.bias",
    gate_bias: "ffn_gate_exps.bias",
    up_bias: "ffn_up_exps.bias",
    down_bias: "ffn_down_exps.bias",
    shared_gate: "ffn_gate_shexp.weight",
    shared_up: "ffn_up_shexp.weight",
    shared_down: "ffn_down_shexp.weight",
    shared_router: "ffn_gate_inp_shexp.weight",
  },
};

/** Weights whose rows llama.cpp lays out in pairs where the architecture rotates neighbours. */
const ROTATED = new Set(["q", "k", "q_bias", "k_bias"]);

/** Whether rows of a weight are channels that are rotated. */
export function isRotated(role: WeightRole): boolean {
  return "layer" in role && role.part === "attention" && ROTATED.has(role.weight);
}

/** Weights whose gain is 1 + w in the families that count so. */
const GAINS = new Set(["norm", "post_norm", "q_norm", "k_norm"]);

/** Whether a weight is the gain of a norm. */
export function isGain(role: WeightRole): boolean {
  return "layer" in role ? GAINS.has(role.weight) : role.part === "finalNorm";
}

/**
 * What GGUF calls a weight.
 * @param layer its layer in the file.
 * @throws {TypeError} when no file of the architecture has such a weight.
 */
export function ggufTensorName(arch: GgufArchitecture, role: WeightRole, layer: number): string {
  if (!("layer" in role)) {
    return OUTER[role.part as OuterWeight];
  }
  const name = namesInLayer(arch, role.part)[role.weight];
  if (name === undefined) {
    throw new TypeError(`files of ${arch.name} have no ${role.part} weight ${role.weight}`);
  }
  return `blk.${layer}.${name}`;
}

function namesInLayer({ tensors = {} }: GgufArchitecture, kind: string) {
  return { ...IN_LAYER[kind], ...tensors[kind] };
}

/** A weight under the name that its family has for it. */
export interface FamilyTensor {
  readonly name: string;
  readonly role: WeightRole;
}

/**
 * The weights whose rows are in the tensor of this name in GGUF, in their order: one, or those of a
 * packed tensor; none where it is nothing of a decoder.
 */
export function familyTensors(
  arch: GgufArchitecture,
  family: Family,
  name: string,
): readonly FamilyTensor[] {
  for (const [part, named] of Object.entries(OUTER) as [OuterWeight, string][]) {
    const found = family.tensorNames[part];
    if (named === name && found !== undefined) return [{ name: found, role: { part } }];
  }
  const [, number, rest] = /^blk\.(0|[1-9]\d{0,4})\.(.+)$/.exec(name) ?? [];
  if (rest === undefined) return [];
  const layer = Number(number);
  return family.blocks.map(({ kind, weights }) => {
    const found = weightsNamed(arch, kind, rest).filter((weight) => Object.hasOwn(weights, weight));
    return found.map((weight) => ({
      name: blockTensorName(family, { layer, kind }, weight),
      role: { part: kind, layer, weight },
    }));
  }).find((found) => found.length > 0) ?? [];
}

/** The weights of a kind of block that are in a tensor, by its name behind that of the layer. */
function weightsNamed(arch: GgufArchitecture, kind: string, rest: string): readonly string[] {
  const [stem, suffix] = [rest.slice(0, rest.lastIndexOf(".")), rest.slice(rest.lastIndexOf("."))];
  const packed = packedIn(arch, kind)[stem];
  if (packed) return packed.map((weight) => suffix === ".bias" ? `${weight}_bias` : weight);
  const names = Object.entries(namesInLayer(arch, kind));
  return names.flatMap(([weight, named]) => named === rest ? [weight] : []);
}

/** Every architecture's files may have q, k and v in one tensor. */
const PACKED_ATTENTION: Readonly<Record<string, readonly string[]>> = {
  attn_qkv: ["q", "k", "v"],
};

function packedIn({ packed = {} }: GgufArchitecture, kind: string) {
  return { ...(kind === "attention" && PACKED_ATTENTION), ...packed[kind] };
}

/**
 * The tensor, by its name behind that of the layer, in which files of an architecture have a weight
 * with others, and which those are; null where it has one of its own.
 */
export function packedTensor(
  { packed = {} }: GgufArchitecture,
  { part, weight }: { readonly part: string; readonly weight: string },
): { readonly name: string; readonly weights: readonly string[] } | null {
  const bias = weight.endsWith("_bias");
  const stem = bias ? weight.slice(0, -"_bias".length) : weight;
  const found = Object.entries(packed[part] ?? {}).find(([, weights]) => weights.includes(stem));
  if (!found) return null;
  const [name, weights] = found;
  return bias
    ? { name: `${name}.bias`, weights: weights.map((w) => `${w}_bias`) }
    : { name: `${name}.weight`, weights };
}
