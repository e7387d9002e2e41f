import { type Block, type BlockSize, type Heads, headsOf } from "@lopper/core";
import { TensorProto_DataType as DataType } from "onnx-buf";
import type { Attend } from "../block_scope.ts";
import { type GraphBuilder, MICROSOFT } from "../graph_builder.ts";
import { attendByHead } from "./heads.ts";
import { causalMask } from "./masks.ts";
import { plainAttention } from "./plain_attention.ts";

/**
 * Which operator computes attention. `gqa` (com.microsoft.GroupQueryAttention) is the fastest on
 * native CPU, needs headDim to be a multiple of 16 and fixed head counts; `attention` (ONNX 23) is
 * the fastest in WASM and takes any head count at run time, as `plain` does, which is no operator
 * but MatMul and Softmax.
 */
export type AttentionOp = "gqa" | "attention" | "plain";

/** How the tokens of a block that is attended see one another. */
export interface FedAttention {
  readonly op: AttentionOp;
  /** Units of the block, for `gqa`, whose head counts are fixed. */
  readonly size?: BlockSize;
  /**
   * Reads the keys and values of earlier tokens and returns them with the new ones (for
   * generation).
   */
  readonly kvCache?: boolean;
  /**
   * Without `kvCache`, for sequences of at least so many tokens: queries go in so many chunks, each
   * over the keys up to its end. The operators multiply all queries by all keys and mask half of it
   * away afterwards; chunks leave out what they can of that half, and their scores fit into a
   * cache. `gqa` takes one sequence only then; `plain` knows no chunks.
   */
  readonly chunks?: number;
  /** For `plain`, without `kvCache`: what a token sees is fed, instead of all tokens before it. */
  readonly masked?: boolean;
  /**
   * Some token is farther back than the block's window: without it, the window is not looked at.
   * Not for what is masked, whose mask says what is too far.
   */
  readonly windowed?: boolean;
}

/**
 * Attention of `hidden [B, T, H]`. Declares feeds as it is used, float32 unless said: `cos` and
 * `sin [P, D/2]`; for `gqa` `seqlens int32 [B]` (last position of each row, past included) and
 * `total int32 [1]` (past + T), unless it has chunks; for the others `positions int64 [B, T]`; with
 * `masked` `mask [B, 1, T, T]`, which is added to the scores; with `kvCache` `past_key` and
 * `past_value [B, kvHeads, S, D]`, and the fetches `present_key` and `present_value`.
 */
export function fedAttention(
  g: GraphBuilder,
  block: Block,
  hidden: string,
  options: FedAttention,
): Attend {
  return (...qkv) => {
    const batchAndLength = g.node("Shape", [hidden], { start: 0, end: 2 });
    const heads = headsOf(block, options.size);
    const window = options.windowed ? block.attention!.window : null;
    const context: Context = { g, options, heads, window, batchAndLength };
    return options.op === "gqa"
      ? groupQueryAttention(context, qkv)
      : separateAttention(context, qkv);
  };
}

/** Where attention is added. */
interface Context {
  readonly g: GraphBuilder;
  readonly options: FedAttention;
  readonly heads: Heads;
  /** Tokens that a query sees; null for all that there are. */
  readonly window: number | null;
  /** int64 [2]: B and T. */
  readonly batchAndLength: string;
}

type Projected = readonly [q: string, k: string, v: string];

function rotaryInputs({ g, heads: { headDim } }: Context): [cos: string, sin: string] {
  return [
    g.input("cos", "float32", ["P", headDim / 2]),
    g.input("sin", "float32", ["P", headDim / 2]),
  ];
}

function pastInputs({ g, options, heads }: Context): [string, string] {
  if (!options.kvCache) return ["", ""];
  const dims = ["B", options.op === "gqa" ? heads.kvHeads : "KV_past", "S", heads.headDim];
  return [g.input("past_key", "float32", dims), g.input("past_value", "float32", dims)];
}

function presentOutputs(g: GraphBuilder, { headDim }: Heads, values: readonly string[]) {
  const dims = ["B", "KV", "S_total", headDim];
  ["present_key", "present_value"].forEach((name, i) => g.output(name, values[i], "float32", dims));
}

function groupQueryAttention(context: Context, projected: Projected): string {
  const { g, options: { kvCache, chunks = 1 }, heads, window, batchAndLength } = context;
  const shape = g.node("Concat", [batchAndLength, g.int64([-1])], { axis: 0 });
  const qkv = projected.map((x) => g.node("Reshape", [x, shape]));
  const rows = g.node("Shape", [projected[0]]);
  const past = pastInputs(context);
  const table = rotaryInputs(context);
  const attributes = {
    ...{ num_heads: heads.queryHeads, kv_num_heads: heads.kvHeads, do_rotary: 1 },
    ...(window !== null && { local_window_size: window }),
  };
  const attend = (qkv: readonly string[], past: readonly string[], lengths: readonly string[]) =>
    g.nodes(
      "GroupQueryAttention",
      [...qkv, ...past, ...lengths, ...table],
      3,
      attributes,
      MICROSOFT,
    );
  if (chunks === 1) {
    const lengths = [g.input("seqlens", "int32", ["B"]), g.input("total", "int32", [1])];
    const [attended, ...present] = attend(qkv, past, lengths);
    if (kvCache) presentOutputs(g, heads, present);
    return g.node("Reshape", [attended, rows]);
  }
  const int32 = (x: string) => g.node("Cast", [x], { to: DataType.INT32 });
  const one = int32(g.int64([1]));
  let end: string | undefined;
  const joined = inChunks(g, qkv, { chunks, axis: 1, past: null }, (part, past) => {
    const size = int32(g.node("Shape", [part[0]], { start: 1, end: 2 }));
    end = end === undefined ? size : g.node("Add", [end, size]);
    return attend(part, past, [g.node("Sub", [end, one]), end]);
  });
  return g.node("Reshape", [joined, rows]);
}

interface Chunks {
  readonly chunks: number;
  /** Of the tokens. */
  readonly axis: number;
  /** Earlier tokens that a chunk is given; null for all. */
  readonly past: number | null;
}

/**
 * Attention of queries in chunks, each with the keys and values of the earlier ones as its past.
 * @param attend context, keys and values so far, of a part of q, k and v and of what was before.
 */
function inChunks(
  g: GraphBuilder,
  qkv: readonly string[],
  { chunks, axis, past: kept }: Chunks,
  attend: (part: readonly string[], past: readonly string[]) => readonly string[],
): string {
  const parts = qkv.map((x) => g.nodes("Split", [x], chunks, { axis, num_outputs: chunks }));
  const lastOf = (x: string) =>
    kept === null ? x : g.node("Slice", [
      ...[x, g.int64([-kept]), g.int64([2 ** 31 - 1])],
      g.int64([axis]),
    ]);
  const contexts: string[] = [];
  let past: readonly string[] = ["", ""];
  for (let i = 0; i < chunks; i++) {
    const [context, ...present] = attend(parts.map((part) => part[i]), past);
    contexts.push(context);
    past = present.map(lastOf);
  }
  return g.node("Concat", contexts, { axis });
}

/**
 * `attention` and `plain`, which leave the rotary embedding and the order of the axes to the graph.
 */
function separateAttention(context: Context, projected: Projected): string {
  const { g, options, heads, batchAndLength } = context;
  const positions = g.input("positions", "int64", ["B", "T"]);
  const table = rotaryInputs(context);
  const past = pastInputs(context);
  return attendByHead(g, {
    shape: g.node("Concat", [batchAndLength, g.int64([-1, heads.headDim])], { axis: 0 }),
    rotate: (x) => g.node("RotaryEmbedding", [x, ...table, positions]),
    attend: (...inputs) => {
      const attend = options.op === "plain" ? plain : onnxAttention;
      const [attended, ...present] = attend(context, inputs, past);
      if (options.kvCache) presentOutputs(g, heads, present);
      return attended;
    },
  }, projected);
}

type HeadTensors = readonly [q: string, k: string, v: string];

function onnxAttention(
  { g, options: { kvCache, chunks = 1 }, window }: Context,
  inputs: HeadTensors,
  past: readonly string[],
): readonly string[] {
  const attend = (qkv: readonly string[], past: readonly string[], outputs: number) => {
    if (window === null) {
      return g.nodes("Attention", [...qkv, "", ...past], outputs, { is_causal: 1 });
    }
    const [length, earlier] = [lengthOf(g, qkv[1]), past[0]];
    const total = earlier ? g.node("Add", [lengthOf(g, earlier), length]) : length;
    const mask = causalMask(g, { length, total }, window);
    return g.nodes("Attention", [...qkv, mask, ...past], outputs);
  };
  if (chunks === 1) return attend(inputs, past, kvCache ? 3 : 1);
  // One more than a query sees beside itself: as many as none would be all.
  const options = { chunks, axis: 2, past: window };
  return [inChunks(g, inputs, options, (...part) => attend(...part, 3))];
}

/** Tokens of `[B, heads, T, D]`, int64 [1]. */
function lengthOf(g: GraphBuilder, x: string): string {
  return g.node("Shape", [x], { start: 2, end: 3 });
}

function plain(
  { g, options: { kvCache, masked }, heads: { headDim }, window }: Context,
  [q, k, v]: HeadTensors,
  [pastKey, pastValue]: readonly string[],
): readonly string[] {
  const join = (past: string, now: string) =>
    kvCache ? g.node("Concat", [past, now], { axis: 2 }) : now;
  const [keys, values] = [join(pastKey, k), join(pastValue, v)];
  const sizes = {
    batch: g.node("Shape", [q], { start: 0, end: 1 }),
    length: lengthOf(g, q),
    total: lengthOf(g, keys),
  };
  const mask = masked
    ? g.input("mask", "float32", ["B", 1, "T", "T"])
    : causalMask(g, sizes, window);
  const context = plainAttention(g, headDim, sizes, mask).attend(g, q, keys, values);
  return kvCache ? [context, keys, values] : [context];
}
