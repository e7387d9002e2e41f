import { TensorProto_DataType as DataType } from "onnx-buf";
import type { AttendedHeads } from "../block_scope.ts";
import { MICROSOFT } from "../graph_builder.ts";
import { inChunks } from "./chunks.ts";
import { type FedContext, pastInputs, presentOutputs, rotaryInputs } from "./fed_context.ts";

/** com.microsoft.GroupQueryAttention, with the rotary embedding in it. */
export function groupQueryAttention(
  context: FedContext,
  { q, k, v, sinks }: AttendedHeads,
): string {
  const { g, options: { kvCache, chunks = 1 }, batchAndLength } = context;
  const shape = g.node("Concat", [batchAndLength, g.int64([-1])], { axis: 0 });
  const qkv = [q, k, v].map((x) => g.node("Reshape", [x, shape]));
  const rows = g.node("Shape", [q]);
  const past = pastInputs(context);
  const table = rotaryInputs(context);
  const attributes = attributesOf(context);
  // Between the table and the sinks there are positions of tokens and a bias.
  const last = sinks === undefined ? [] : ["", "", sinks];
  const attend = (qkv: readonly string[], past: readonly string[], lengths: readonly string[]) => {
    const inputs = [...qkv, ...past, ...lengths, ...table, ...last];
    return g.nodes("GroupQueryAttention", inputs, 3, attributes, MICROSOFT);
  };
  if (chunks === 1) {
    const lengths = [g.input("seqlens", "int32", ["B"]), g.input("total", "int32", [1])];
    const [attended, ...present] = attend(qkv, past, lengths);
    if (kvCache) presentOutputs(context, present);
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

function attributesOf({ attention, heads, window }: FedContext) {
  const { rope, scale, softCap } = attention;
  return {
    ...{ num_heads: heads.queryHeads, kv_num_heads: heads.kvHeads, do_rotary: rope ? 1 : 0 },
    ...(rope?.pairs === "neighbours" && { rotary_interleaved: 1 }),
    ...(scale !== 1 / Math.sqrt(heads.headDim) && { scale: { float: scale } }),
    ...(softCap !== null && { softcap: { float: softCap } }),
    ...(window !== null && { local_window_size: window }),
  };
}
