/**
 * A GGUF file of a one-layer llama model, small enough to be made by the thousand, for tests that
 * change it.
 */
import { type Entry, type FileTensor, ggufFile } from "@lopper/formats/testing";

const HIDDEN = 32, WIDTH = 64, HEADS = 4, KV_HEADS = 2, HEAD_DIM = 8;

/** ggml's numbers of the types used here. */
const F32 = 0, F16 = 1, Q4_0 = 2, Q8_0 = 8;

/** As in Hugging Face: [out, in]. */
const MATRICES: readonly (readonly [name: string, out: number, into: number, type: number])[] = [
  ["blk.0.attn_q.weight", HEADS * HEAD_DIM, HIDDEN, Q8_0],
  ["blk.0.attn_k.weight", KV_HEADS * HEAD_DIM, HIDDEN, Q8_0],
  ["blk.0.attn_v.weight", KV_HEADS * HEAD_DIM, HIDDEN, F16],
  ["blk.0.attn_output.weight", HIDDEN, HEADS * HEAD_DIM, F32],
  ["blk.0.ffn_gate.weight", WIDTH, HIDDEN, Q4_0],
  ["blk.0.ffn_up.weight", WIDTH, HIDDEN, F16],
  ["blk.0.ffn_down.weight", HIDDEN, WIDTH, Q8_0],
];
const NORMS = ["output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"];

export const TOKENS: readonly string[] = ["<unk>", "<s>", "</s>", "a", "b", "ab", "Ġ", "Ġab"];

const ENTRIES: readonly Entry[] = [
  ["general.architecture", "string", "llama"],
  ["llama.block_count", "uint32", 1],
  ["llama.context_length", "uint32", 64],
  ["llama.embedding_length", "uint32", HIDDEN],
  ["llama.feed_forward_length", "uint32", WIDTH],
  ["llama.attention.head_count", "uint32", HEADS],
  ["llama.attention.head_count_kv", "uint32", KV_HEADS],
  ["llama.attention.layer_norm_rms_epsilon", "float32", 1e-5],
  ["llama.rope.dimension_count", "uint32", HEAD_DIM],
  ["llama.rope.freq_base", "float32", 10_000],
  ["tokenizer.ggml.model", "string", "gpt2"],
  ["tokenizer.ggml.pre", "string", "gpt-2"],
  ["tokenizer.ggml.tokens", "array", "string", TOKENS],
  ["tokenizer.ggml.token_type", "array", "int32", [2, 3, 3, 1, 1, 1, 1, 1]],
  ["tokenizer.ggml.merges", "array", "string", ["a b", "Ġ ab"]],
  ["tokenizer.ggml.bos_token_id", "uint32", 1],
  ["tokenizer.ggml.eos_token_id", "uint32", 2],
];

const BLOCK: Readonly<Record<number, readonly [values: number, bytes: number]>> = {
  [F32]: [1, 4],
  [F16]: [1, 2],
  [Q4_0]: [32, 18],
  [Q8_0]: [32, 34],
};

function data(count: number, type: number): Uint8Array {
  const [values, bytes] = BLOCK[type];
  const out = new Uint8Array(count / values * bytes);
  // Any bits but those that make the value or the block's scale infinite.
  for (let i = 0; i < out.length; i++) out[i] = (i * 37 + 11) % 61;
  return out;
}

const TENSORS: readonly FileTensor[] = [
  { name: "token_embd.weight", dims: [HIDDEN, TOKENS.length], type: Q8_0 },
  ...MATRICES.map(([name, out, into, type]) => ({ name, dims: [into, out], type })),
  ...NORMS.map((name) => ({ name, dims: [HIDDEN], type: F32 })),
].map((t) => ({ ...t, data: data(t.dims.reduce((a, b) => a * b, 1), t.type) }));

export interface TinyChange {
  /** Entries that replace those of the same key, or come on top. */
  readonly entries?: readonly Entry[];
  /** Keys that are left out. */
  readonly without?: readonly string[];
  readonly tensors?: readonly FileTensor[];
  readonly withoutTensors?: readonly string[];
}

export function tinyGguf(change: TinyChange = {}): Uint8Array {
  const { entries = [], without = [], tensors = [], withoutTensors = [] } = change;
  const replaced = new Set([...entries.map(([key]) => key), ...without]);
  const renamed = new Set([...tensors.map(({ name }) => name), ...withoutTensors]);
  return ggufFile({
    entries: [...ENTRIES.filter(([key]) => !replaced.has(key)), ...entries],
    tensors: [...TENSORS.filter(({ name }) => !renamed.has(name)), ...tensors],
  });
}

/** A tensor of the tiny model, for a change of it. */
export function tinyTensor(name: string): FileTensor {
  return TENSORS.find((tensor) => tensor.name === name)!;
}

/** An F32 tensor of these values. */
export function float32Tensor(
  name: string,
  shape: readonly number[],
  values: readonly number[],
): FileTensor {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { name, dims: shape.toReversed(), type: F32, data: bytes };
}
