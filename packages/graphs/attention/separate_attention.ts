import type { AttendedHeads } from "../block_scope.ts";
import type { GraphBuilder } from "../graph_builder.ts";
import { inChunks } from "./chunks.ts";
import { type FedContext, pastInputs, presentOutputs, rotaryInputs } from "./fed_context.ts";
import { attendByHead } from "./heads.ts";
import { causalMask, distancesOfPositions, tokenDistances } from "./masks.ts";
import { plainAttention } from "./plain_attention.ts";
import { grownQueries } from "./query_growth.ts";
import { rotated } from "./rotation.ts";

type HeadTensors = readonly [q: string, k: string, v: string];

/**
 * `attention` and `plain`, which leave the rotary embedding and the order of the axes to the graph.
 */
export function separateAttention(context: FedContext, inputs: AttendedHeads): string {
  const { g, options, attention, heads: { headDim }, batchAndLength } = context;
  const { rope } = attention;
  const growth = options.grown ? attention.queryGrowth : undefined;
  const reads = rope !== null || growth || (options.masked && inputs.slopes !== undefined);
  const positions = reads ? g.input("positions", "int64", ["B", "T"]) : "";
  const table = rotaryInputs(context);
  const past = pastInputs(context);
  return attendByHead(g, {
    shape: g.node("Concat", [batchAndLength, g.int64([-1, headDim])], { axis: 0 }),
    rotate: (x) =>
      rope
        ? rotated(
          g,
          rope,
          headDim,
          x,
          (part, attributes) => g.node("RotaryEmbedding", [part, ...table, positions], attributes),
        )
        : x,
    attend: (q, k, v) => {
      const qkv = [grownQueries(g, growth, q, positions), k, v] as const;
      const [attended, ...present] = options.op === "plain"
        ? plain(context, qkv, past, { ...inputs, positions })
        : onnxAttention(context, qkv, past);
      if (options.kvCache) presentOutputs(context, present);
      return attended;
    },
  }, inputs);
}

function onnxAttention(
  context: FedContext,
  inputs: HeadTensors,
  past: readonly string[],
): readonly string[] {
  const { g, options: { kvCache, chunks = 1 }, window } = context;
  const attributes = attributesOf(context);
  const attend = (qkv: readonly string[], past: readonly string[], outputs: number) => {
    if (window === null) {
      const causal = { is_causal: 1, ...attributes };
      return g.nodes("Attention", [...qkv, "", ...past], outputs, causal);
    }
    const [length, earlier] = [lengthOf(g, qkv[1]), past[0]];
    const total = earlier ? g.node("Add", [lengthOf(g, earlier), length]) : length;
    const mask = causalMask(g, { length, total }, window);
    return g.nodes("Attention", [...qkv, mask, ...past], outputs, attributes);
  };
  if (chunks === 1) return attend(inputs, past, kvCache ? 3 : 1);
  // One more than a query sees beside itself: as many as none would be all.
  const options = { chunks, axis: 2, past: window };
  return [inChunks(g, inputs, options, (...part) => attend(...part, 3))];
}

function attributesOf({ attention: { scale, softCap }, heads: { headDim } }: FedContext) {
  return {
    ...(scale !== 1 / Math.sqrt(headDim) && { scale: { float: scale } }),
    ...(softCap !== null && { softcap: { float: softCap } }),
  };
}

/** Tokens of `[B, heads, T, D]`, int64 [1]. */
function lengthOf(g: GraphBuilder, x: string): string {
  return g.node("Shape", [x], { start: 2, end: 3 });
}

function plain(
  { g, options: { kvCache, masked }, attention, heads: { headDim }, window }: FedContext,
  [q, k, v]: HeadTensors,
  [pastKey, pastValue]: readonly string[],
  { sinks, slopes, positions }: Pick<AttendedHeads, "sinks" | "slopes"> & {
    readonly positions: string;
  },
): readonly string[] {
  const join = (past: string, now: string) =>
    kvCache ? g.node("Concat", [past, now], { axis: 2 }) : now;
  const [keys, values] = [join(pastKey, k), join(pastValue, v)];
  const sizes = {
    batch: g.node("Shape", [q], { start: 0, end: 1 }),
    length: lengthOf(g, q),
    total: lengthOf(g, keys),
  };
  const among = masked
    ? {
      mask: g.input("mask", "float32", ["B", 1, "T", "T"]),
      distances: () => distancesOfPositions(g, positions),
    }
    : { mask: causalMask(g, sizes, window), distances: () => tokenDistances(g, sizes) };
  const context = plainAttention(g, headDim, sizes, among)
    .attend(g, attention, { q, k: keys, v: values, sinks, slopes });
  return kvCache ? [context, keys, values] : [context];
}
