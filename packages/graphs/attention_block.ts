import { TensorProto_DataType as DataType } from "onnx-buf";
import { GraphBuilder, MICROSOFT } from "./graph_builder.ts";
import { type InnerOutput, innerOutput, linear, linearTransposed, rmsNorm } from "./layers.ts";
import { plainAttention } from "./plain_attention.ts";

/**
 * Which operator computes attention. `gqa` (com.microsoft.GroupQueryAttention) is the fastest on native CPU, needs
 * headDim to be a multiple of 16 and fixed head counts; `attention` (ONNX 23) is the fastest in WASM and takes any
 * head count at run time, as `plain` does, which is no operator but MatMul and Softmax.
 */
export type AttentionOp = "gqa" | "attention" | "plain";

export interface AttentionBlockOptions {
  readonly op: AttentionOp;
  readonly hiddenSize: number;
  readonly headDim: number;
  /** Fixed head counts; used by `gqa` only. */
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly eps: number;
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  readonly qkNorm: boolean;
  /** Reads the keys and values of earlier tokens and returns them with the new ones (for generation). */
  readonly kvCache: boolean;
  /**
   * Without `kvCache`, for sequences of at least so many tokens: queries go in so many chunks, each over the keys up to its
   * end. The operators multiply all queries by all keys and mask half of it away afterwards; chunks leave out what they can
   * of that half, and their scores fit into a cache. `gqa` takes one sequence only then; `plain` knows no chunks.
   */
  readonly chunks?: number;
  /** For `plain`, without `kvCache`: what a token sees is fed, instead of all tokens before it. */
  readonly masked?: boolean;
  /** What is told of the activation that enters `o`, `[B · T, Q]`. */
  readonly inner?: InnerOutput;
}

/**
 * h + o(attention(norm(h))) as an ONNX graph, rotary embedding included.
 *
 * Feeds (float32 unless said): `hidden [B, T, H]`, `norm [H]`, `q [Q, H]`, `k [K, H]`, `v [K, H]`, `o [Q, H]` (the
 * output projection transposed), optional `q_bias [Q]`, `k_bias [K]`, `v_bias [K]`, `o_bias [H]`, `q_norm [D]`,
 * `k_norm [D]`; `cos` and `sin [P, D/2]`; for `gqa` `seqlens int32 [B]` (last position of each row, past included) and
 * `total int32 [1]` (past + T), unless it has chunks; for the others `positions int64 [B, T]`; with `masked` `mask [B, 1, T, T]`,
 * which is added to the scores; with `kvCache` `past_key` and `past_value [B, kvHeads, S, D]`. Fetches: `out [B, T, H]`, with `kvCache` also `present_key`, `present_value`,
 * with `inner` also `energy [Q]` or `inner [B · T, Q]`.
 */
export function attentionBlock(options: AttentionBlockOptions): Uint8Array {
  const { hiddenSize, headDim, eps, qkNorm } = options;
  const g = new GraphBuilder("attention_block");
  const hidden = g.input("hidden", "float32", ["B", "T", hiddenSize]);
  const norm = g.input("norm", "float32", [hiddenSize]);
  const weights = ["q", "k", "v", "o"].map((name) =>
    g.input(name, "float32", [name === "q" || name === "o" ? "Q" : "K", hiddenSize])
  );
  const [wq, wk, wv, wo] = weights;
  const bias = (name: string, dim: number | string, present: boolean) =>
    present ? g.input(`${name}_bias`, "float32", [dim]) : undefined;

  const normed = rmsNorm(g, hidden, norm, eps);
  const flat = g.node("Reshape", [normed, g.int64([-1, hiddenSize])]);
  const headNorm = (name: string) => qkNorm ? g.input(name, "float32", [headDim]) : undefined;
  const projected = projections(g, flat, {
    q: wq,
    k: wk,
    v: wv,
    q_bias: bias("q", "Q", options.qkvBias),
    k_bias: bias("k", "K", options.qkvBias),
    v_bias: bias("v", "K", options.qkvBias),
    q_norm: headNorm("q_norm"),
    k_norm: headNorm("k_norm"),
  }, options);
  const batchAndLength = g.node("Shape", [hidden], { start: 0, end: 2 });
  const attend = options.op === "gqa" ? groupQueryAttention : separateAttention;
  const [context, ...present] = attend(g, options, { ...projected, batchAndLength });
  const joined = g.node("Reshape", [context, projected.flatShape]);
  const lowered = linearTransposed(g, joined, wo, bias("o", hiddenSize, options.outputBias));
  const residual = g.node("Reshape", [lowered, g.node("Shape", [hidden])]);
  g.output("out", g.node("Add", [hidden, residual]), "float32", ["B", "T", hiddenSize]);
  if (options.inner) innerOutput(g, options.inner, joined, "Q");
  present.forEach((value, i) =>
    g.output(
      i === 0 ? "present_key" : "present_value",
      value,
      "float32",
      ["B", "KV", "S_total", headDim],
    )
  );
  return g.encode();
}

/** The weights of the three projections by the names of their feeds, as values of a graph. */
export interface ProjectionWeights {
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly q_bias?: string;
  readonly k_bias?: string;
  readonly v_bias?: string;
  readonly q_norm?: string;
  readonly k_norm?: string;
}

/**
 * Adds the projections of the normed stream `[N, H]` to a graph: q `[N, Q]`, k and v `[N, K]`, q and k normed by head if
 * the weights say so, and the shape of q.
 */
export function projections(
  g: GraphBuilder,
  normed: string,
  w: ProjectionWeights,
  { headDim, eps }: { readonly headDim: number; readonly eps: number },
) {
  const q = linear(g, normed, w.q, w.q_bias);
  const k = linear(g, normed, w.k, w.k_bias);
  const v = linear(g, normed, w.v, w.v_bias);
  const flatShape = g.node("Shape", [q]);
  const perHead = (x: string, weight: string | undefined) => {
    if (!weight) return x;
    const heads = g.node("Reshape", [x, g.int64([-1, headDim])]);
    return g.node("Reshape", [rmsNorm(g, heads, weight, eps), g.node("Shape", [x])]);
  };
  return { q: perHead(q, w.q_norm), k: perHead(k, w.k_norm), v, flatShape };
}

interface Projections {
  readonly q: string;
  readonly k: string;
  readonly v: string;
  /** int64 [2]: B and T. */
  readonly batchAndLength: string;
}

function rotaryInputs(g: GraphBuilder, headDim: number): [cos: string, sin: string] {
  return [
    g.input("cos", "float32", ["P", headDim / 2]),
    g.input("sin", "float32", ["P", headDim / 2]),
  ];
}

function pastInputs(g: GraphBuilder, options: AttentionBlockOptions): [string, string] {
  if (!options.kvCache) return ["", ""];
  const kvHeads = options.op === "gqa" ? options.kvHeads : "KV_past";
  const dims = ["B", kvHeads, "S", options.headDim];
  return [g.input("past_key", "float32", dims), g.input("past_value", "float32", dims)];
}

function groupQueryAttention(g: GraphBuilder, options: AttentionBlockOptions, p: Projections) {
  const shape = g.node("Concat", [p.batchAndLength, g.int64([-1])], { axis: 0 });
  const qkv = [p.q, p.k, p.v].map((x) => g.node("Reshape", [x, shape]));
  const past = pastInputs(g, options);
  const table = rotaryInputs(g, options.headDim);
  const heads = { num_heads: options.queryHeads, kv_num_heads: options.kvHeads, do_rotary: 1 };
  const attend = (qkv: readonly string[], past: readonly string[], lengths: readonly string[]) =>
    g.nodes("GroupQueryAttention", [...qkv, ...past, ...lengths, ...table], 3, heads, MICROSOFT);
  const { chunks = 1 } = options;
  if (chunks === 1) {
    const lengths = [g.input("seqlens", "int32", ["B"]), g.input("total", "int32", [1])];
    const outputs = attend(qkv, past, lengths);
    return options.kvCache ? outputs : outputs.slice(0, 1);
  }
  const int32 = (x: string) => g.node("Cast", [x], { to: DataType.INT32 });
  const one = int32(g.int64([1]));
  let end: string | undefined;
  return inChunks(g, qkv, { chunks, axis: 1 }, (part, past) => {
    const size = int32(g.node("Shape", [part[0]], { start: 1, end: 2 }));
    end = end === undefined ? size : g.node("Add", [end, size]);
    return attend(part, past, [g.node("Sub", [end, one]), end]);
  });
}

/**
 * Attention of queries in chunks along an axis, each with the keys and values of the earlier ones as its past.
 * @param attend context, keys and values so far, of a part of q, k and v and of what was before.
 */
function inChunks(
  g: GraphBuilder,
  qkv: readonly string[],
  { chunks, axis }: { readonly chunks: number; readonly axis: number },
  attend: (part: readonly string[], past: readonly string[]) => readonly string[],
): [context: string] {
  const parts = qkv.map((x) => g.nodes("Split", [x], chunks, { axis, num_outputs: chunks }));
  const contexts: string[] = [];
  let past: readonly string[] = ["", ""];
  for (let i = 0; i < chunks; i++) {
    const [context, ...present] = attend(parts.map((part) => part[i]), past);
    contexts.push(context);
    past = present;
  }
  return [g.node("Concat", contexts, { axis })];
}

/** `attention` and `plain`, which leave the rotary embedding and the order of the axes to the graph. */
function separateAttention(g: GraphBuilder, options: AttentionBlockOptions, p: Projections) {
  const shape = g.node("Concat", [p.batchAndLength, g.int64([-1, options.headDim])], { axis: 0 });
  const heads = (x: string) =>
    g.node("Transpose", [g.node("Reshape", [x, shape])], { perm: [0, 2, 1, 3] });
  const positions = g.input("positions", "int64", ["B", "T"]);
  const [cos, sin] = rotaryInputs(g, options.headDim);
  const rotate = (x: string) => g.node("RotaryEmbedding", [heads(x), cos, sin, positions]);
  const past = pastInputs(g, options);
  const inputs = [rotate(p.q), rotate(p.k), heads(p.v)] as const;
  const attend = options.op === "plain" ? plain : onnxAttention;
  const [context, ...present] = attend(g, options, inputs, past);
  return [g.node("Transpose", [context], { perm: [0, 2, 1, 3] }), ...present];
}

type HeadTensors = readonly [q: string, k: string, v: string];

function onnxAttention(
  g: GraphBuilder,
  options: AttentionBlockOptions,
  inputs: HeadTensors,
  past: readonly string[],
) {
  const { kvCache, chunks = 1 } = options;
  const attend = (qkv: readonly string[], past: readonly string[], outputs: number) =>
    g.nodes("Attention", [...qkv, "", ...past], outputs, { is_causal: 1 });
  if (chunks > 1) return inChunks(g, inputs, { chunks, axis: 2 }, (...part) => attend(...part, 3));
  return attend(inputs, past, kvCache ? 3 : 1);
}

function plain(
  g: GraphBuilder,
  options: AttentionBlockOptions,
  [q, k, v]: HeadTensors,
  [pastKey, pastValue]: readonly string[],
) {
  const { kvCache, headDim, masked } = options;
  const join = (past: string, now: string) =>
    kvCache ? g.node("Concat", [past, now], { axis: 2 }) : now;
  const [keys, values] = [join(pastKey, k), join(pastValue, v)];
  const size = (x: string, axis: number) => g.node("Shape", [x], { start: axis, end: axis + 1 });
  const sizes = { batch: size(q, 0), length: size(q, 2), total: size(keys, 2) };
  const mask = masked ? g.input("mask", "float32", ["B", 1, "T", "T"]) : undefined;
  const context = plainAttention(g, headDim, sizes, mask).attend(g, q, keys, values);
  return kvCache ? [context, keys, values] : [context];
}
