import { firstRope, headsOf, sizeOf } from "@lopper/core";
import { DEMO_MODEL } from "@lopper/demo-model";
import { FileFolder } from "@lopper/files";
import { type Entry, type FileTensor, ggufFile } from "@lopper/formats/testing";
import { type Model, openModel } from "@lopper/models";
import { fileURLToPath } from "node:url";

const F32 = 0, F16 = 1, Q8_0 = 8;
const ATTENTION = { q: "attn_q", k: "attn_k", v: "attn_v", o: "attn_output", norm: "attn_norm" };
const MLP = { gate: "ffn_gate", up: "ffn_up", down: "ffn_down", norm: "ffn_norm" };

/**
 * The embedded model as a GGUF file: the same bits in F16, but for the matrices whose GGUF name
 * `quantised` matches, which become Q8_0.
 */
export async function demoGguf(quantised = /^$/): Promise<Uint8Array> {
  const folder = new FileFolder(fileURLToPath(DEMO_MODEL));
  const model = await openModel(folder);
  const { architecture } = model;
  const { vocab, merges } = JSON.parse(
    new TextDecoder().decode(await folder.readBytes("tokenizer.json", 1e9)),
  ).model;
  const tokens = Object.entries<number>(vocab).sort(([, a], [, b]) => a - b).map(([text]) => text);
  const [attention, mlp] = architecture.blocks;
  const { queryHeads, kvHeads } = headsOf(attention);
  const entries: Entry[] = [
    ["general.architecture", "string", "llama"],
    ["general.type", "string", "model"],
    ["llama.block_count", "uint32", architecture.layerCount],
    ["llama.context_length", "uint32", architecture.maxPositions],
    ["llama.embedding_length", "uint32", architecture.hiddenSize],
    ["llama.feed_forward_length", "uint32", sizeOf(mlp).channels],
    ["llama.attention.head_count", "uint32", queryHeads],
    ["llama.attention.head_count_kv", "uint32", kvHeads],
    ["llama.attention.layer_norm_rms_epsilon", "float32", architecture.norm.eps],
    ["llama.rope.freq_base", "float32", firstRope(architecture)!.theta],
    ["llama.rope.dimension_count", "uint32", architecture.headDim],
    ["tokenizer.ggml.model", "string", "gpt2"],
    ["tokenizer.ggml.pre", "string", "gpt-2"],
    ["tokenizer.ggml.tokens", "array", "string", tokens],
    ["tokenizer.ggml.token_type", "array", "int32", tokens.map((_, id) => id === 0 ? 3 : 1)],
    [
      "tokenizer.ggml.merges",
      "array",
      "string",
      merges.map((pair: [string, string]) => pair.join(" ")),
    ],
    ["tokenizer.ggml.bos_token_id", "uint32", 0],
    ["tokenizer.ggml.eos_token_id", "uint32", 0],
  ];
  const tensors: FileTensor[] = [];
  for (const weight of model.weights) tensors.push(await asGguf(model, weight, quantised));
  model[Symbol.dispose]();
  return ggufFile({ entries, tensors });
}

async function asGguf(
  { store, architecture }: Model,
  { role, tensor }: Model["weights"][number],
  quantised: RegExp,
): Promise<FileTensor> {
  const dims = tensor.shape.toReversed();
  const name = nameOf(role);
  if (quantised.test(name)) {
    return { name, dims, type: Q8_0, data: toQ8(await store.readFloat32(tensor.name)) };
  }
  let data = await store.readBytes(tensor.name);
  if (/attn_[qk]\.weight$/.test(name)) {
    data = interleaved(data, data.length / tensor.shape[0], architecture.headDim);
  }
  return { name, dims, type: tensor.dtype === "F32" ? F32 : F16, data };
}

function nameOf(role: Model["weights"][number]["role"]): string {
  if ("layer" in role) {
    const names: Readonly<Record<string, string>> = role.part === "mlp" ? MLP : ATTENTION;
    return `blk.${role.layer}.${names[role.weight]}.weight`;
  }
  const names: Readonly<Record<string, string>> = {
    embedding: "token_embd",
    finalNorm: "output_norm",
    lmHead: "output",
  };
  return `${names[role.part]}.weight`;
}

/** Rows of a head in pairs: the first of each half, the second of each, … */
function interleaved(data: Uint8Array, rowBytes: number, headDim: number): Uint8Array {
  const out = new Uint8Array(data.length);
  for (let row = 0; row < data.length / rowBytes; row++) {
    const inHead = row % headDim;
    const half = inHead < headDim / 2 ? 0 : 1;
    const to = row - inHead + 2 * (inHead - half * headDim / 2) + half;
    out.set(data.subarray(row * rowBytes, (row + 1) * rowBytes), to * rowBytes);
  }
  return out;
}

function toQ8(values: Float32Array): Uint8Array {
  const out = new DataView(new ArrayBuffer(values.length / 32 * 34));
  for (let block = 0; block < values.length / 32; block++) {
    const part = values.subarray(32 * block, 32 * (block + 1));
    const scale = Math.max(...part.map(Math.abs)) / 127;
    out.setFloat16(34 * block, scale, true);
    part.forEach((v, i) =>
      out.setInt8(34 * block + 2 + i, scale === 0 ? 0 : Math.round(v / scale))
    );
  }
  return new Uint8Array(out.buffer);
}
