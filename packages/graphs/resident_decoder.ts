import { type BlockRef, groupSize, type ModelSpec } from "@lopper/core";
import { type AttentionOp, projections, type ProjectionWeights } from "./attention_block.ts";
import { GraphBuilder, MICROSOFT } from "./graph_builder.ts";
import { crossEntropyNodes } from "./head.ts";
import { linear, linearTransposed, rmsNorm } from "./layers.ts";
import { mlpNodes, type MlpWeights } from "./mlp_block.ts";
import { plainAttention } from "./plain_attention.ts";

/**
 * Which operators compute attention where weights are resident. The head counts change from run to run, which rules out
 * com.microsoft.GroupQueryAttention and MultiHeadAttention: theirs are attributes. (The former has no float32 kernel in
 * onnxruntime 1.30.0's CUDA provider besides.)
 *
 * `attention` is ONNX 23's operator with every key and value head repeated for its query heads: the CUDA provider's
 * memory-efficient float32 kernel takes only equal head counts, and otherwise materialises all scores. The WebGPU
 * provider has no kernel for it. `plain` needs MatMul and Softmax only, which every provider has, and memory for
 * `[B, heads, T, T]` scores.
 */
export type ResidentAttentionOp = Exclude<AttentionOp, "gqa">;

export interface ResidentDecoderOptions {
  readonly op: ResidentAttentionOp;
  /** The engine has a kernel for the LogSoftmax operator. */
  readonly logSoftmax: boolean;
}

/** Attention came with opset 23. The WebGPU provider of 1.30.0 has kernels for If up to opset 22. */
const OPSET: Record<ResidentAttentionOp, number> = { attention: 23, plain: 22 };

/**
 * A whole decoder from token ids to the cross-entropy of every prediction as an ONNX graph that owns its weights, so
 * that they stay on the device: a run moves ids, a few numbers a layer and the rotary table in, and `[N]` numbers out.
 * One compiled graph serves every narrower model, since a narrower block reads the first rows of its weights, and a
 * removed one is a branch that is not taken.
 *
 * Feeds: `ids` and `positions int64 [B, T]`, those of `crossEntropyNodes`, `cos` and `sin float32 [P, D/2]`; for each
 * block that the checkpoint has `<block>.keep bool []`, and `<block>.rows int64 [1]` (channels kept) for an MLP,
 * `<block>.query_rows` and `<block>.kv_rows int64 [1]` (heads kept × D) for attention. The lengths come one by one, and
 * ready for use: a vector of all of them, or a comparison with 0, would be computed on the device, and each block would
 * wait for a number to come back from it. Fetch: `cross_entropy float32 [B·T]`, in nats.
 *
 * Weights (float32, given to `compile`): `embedding [V, H]` unless it is tied, `norm [H]`, `lm_head [V, H]`, and for each
 * block those of `attentionBlock` or `mlpBlock` at full width under `<block>.<weight>`; `<block>` is what
 * `residentBlockName` returns.
 */
export function residentDecoder(spec: ModelSpec, options: ResidentDecoderOptions): Uint8Array {
  const { hiddenSize, vocabSize, rmsNormEps: eps, layers } = spec;
  const g = new GraphBuilder("resident_decoder", OPSET[options.op]);
  const ids = g.input("ids", "int64", ["B", "T"]);
  const norm = g.weight("norm", [hiddenSize]);
  const lmHead = g.weight("lm_head", [vocabSize, hiddenSize]);
  const table = spec.tiedEmbeddings ? lmHead : g.weight("embedding", [vocabSize, hiddenSize]);
  const embedded = g.node("Gather", [table, ids]);
  let hidden = g.node("Reshape", [embedded, g.int64([-1, hiddenSize])]);
  const attend = attention(g, spec, options.op, ids);
  for (let layer = 0; layer < layers.length; layer++) {
    for (const kind of ["attention", "mlp"] as const) {
      if (!layers[layer][kind]) continue;
      const block = kind === "attention" ? attend : mlp;
      const input = hidden;
      const run = block(g, spec, { layer, kind }, input);
      const keep = g.input(`${residentBlockName({ layer, kind })}.keep`, "bool", []);
      const skip = (branch: GraphBuilder) => branch.node("Identity", [input]);
      hidden = g.choose(keep, run, skip, "float32", ["N", hiddenSize]);
    }
  }
  const scores = linear(g, rmsNorm(g, hidden, norm, eps), lmHead);
  g.output("cross_entropy", crossEntropyNodes(g, scores, options.logSoftmax), "float32", ["N"]);
  return g.encode();
}

/** Under which the feeds and the weights of a block are found. */
export function residentBlockName(
  { layer, kind }: { readonly layer: number; readonly kind: string },
): string {
  return `layers.${layer}.${kind}`;
}

/** Declares what a block needs in the graph around it, and returns what adds its nodes to a branch. */
type Block = (
  g: GraphBuilder,
  spec: ModelSpec,
  ref: BlockRef,
  hidden: string,
) => (branch: GraphBuilder) => string;

/** The first rows of a weight; `rows` is int64 [1]. */
function firstRows(g: GraphBuilder, weight: string, rows: string): string {
  return g.node("Slice", [weight, g.int64([0]), rows, g.int64([0])]);
}

/** Declares weights of a block and returns their values by name. */
function declare<W>(g: GraphBuilder, block: string, shapes: Readonly<Record<string, number[]>>) {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, dims]) => [name, g.weight(`${block}.${name}`, dims)]),
  ) as W;
}

const mlp: Block = (g, spec, ref, hidden) => {
  const { hiddenSize: h, rmsNormEps: eps } = spec;
  const { intermediateSize: i } = spec.layers[ref.layer].mlp!;
  const block = residentBlockName(ref);
  const rows = g.input(`${block}.rows`, "int64", [1]);
  const w = declare<MlpWeights>(g, block, {
    norm: [h],
    gate: [i, h],
    up: [i, h],
    down: [i, h],
    ...(spec.biases.mlp && { gate_bias: [i], up_bias: [i], down_bias: [h] }),
  });
  return (branch) => {
    const cut = (weight: string) => firstRows(branch, weight, rows);
    const narrow = {
      ...w,
      gate: cut(w.gate),
      up: cut(w.up),
      down: cut(w.down),
      gate_bias: w.gate_bias && cut(w.gate_bias),
      up_bias: w.up_bias && cut(w.up_bias),
    };
    return mlpNodes(branch, hidden, narrow, eps).out;
  };
};

interface AttentionWeights extends ProjectionWeights {
  readonly norm: string;
  readonly o: string;
  readonly o_bias?: string;
}

/** Adds what all attention blocks share to the graph, and returns how to build one. */
function attention(g: GraphBuilder, spec: ModelSpec, op: ResidentAttentionOp, ids: string): Block {
  const { hiddenSize: h, headDim, rmsNormEps: eps, biases } = spec;
  const positions = g.input("positions", "int64", ["B", "T"]);
  const cos = g.input("cos", "float32", ["P", headDim / 2]);
  const sin = g.input("sin", "float32", ["P", headDim / 2]);
  // Shapes stay on the host, whose values operators that take a shape read without waiting for the device.
  const size = (axis: number) => g.node("Shape", [ids], { start: axis, end: axis + 1 });
  const [batch, length] = [size(0), size(1)];
  const [rest, width] = [g.int64([-1]), g.int64([headDim])];
  const concat = (...parts: string[]) => g.node("Concat", parts, { axis: 0 });
  const byToken = concat(batch, length, rest, width);
  const byHead = concat(batch, rest, length, width);
  const plain = op === "plain"
    ? plainAttention(g, headDim, { batch, length, total: length })
    : undefined;

  return (g, spec, ref, hidden) => {
    const shape = spec.layers[ref.layer].attention!;
    const group = groupSize(shape);
    const block = residentBlockName(ref);
    const queryRows = g.input(`${block}.query_rows`, "int64", [1]);
    const kvRows = g.input(`${block}.kv_rows`, "int64", [1]);
    const [q, kv] = [shape.queryHeads * headDim, shape.kvHeads * headDim];
    const w = declare<AttentionWeights>(g, block, {
      norm: [h],
      q: [q, h],
      k: [kv, h],
      v: [kv, h],
      o: [q, h],
      ...(biases.qkv && { q_bias: [q], k_bias: [kv], v_bias: [kv] }),
      ...(biases.output && { o_bias: [h] }),
      ...(spec.qkNorm && { q_norm: [headDim], k_norm: [headDim] }),
    });
    return (branch) => {
      const cut = (weight: string | undefined, rows: string) =>
        weight && firstRows(branch, weight, rows);
      const narrow: ProjectionWeights = {
        ...w,
        q: firstRows(branch, w.q, queryRows),
        k: firstRows(branch, w.k, kvRows),
        v: firstRows(branch, w.v, kvRows),
        q_bias: cut(w.q_bias, queryRows),
        k_bias: cut(w.k_bias, kvRows),
        v_bias: cut(w.v_bias, kvRows),
      };
      const p = projections(branch, rmsNorm(branch, hidden, w.norm, eps), narrow, { headDim, eps });
      const heads = (x: string) =>
        branch.node("Transpose", [branch.node("Reshape", [x, byToken])], { perm: [0, 2, 1, 3] });
      // ONNX's own RotaryEmbedding came with opset 23.
      const rotate = (x: string) =>
        branch.node("RotaryEmbedding", [heads(x), positions, cos, sin], {}, MICROSOFT);
      const inputs = [rotate(p.q), rotate(p.k), heads(p.v)] as const;
      const context = plain?.attend(branch, ...inputs) ??
        onnxAttention(branch, group, byHead, ...inputs);
      const swapped = branch.node("Transpose", [context], { perm: [0, 2, 1, 3] });
      const joined = branch.node("Reshape", [swapped, p.flatShape]);
      const o = firstRows(branch, w.o, queryRows);
      return branch.node("Add", [hidden, linearTransposed(branch, joined, o, w.o_bias)]);
    };
  };
}

/** q `[B, heads, T, D]`, k and v `[B, heads / group, T, D]` → `[B, heads, T, D]`, whose shape `byHead` is. */
function onnxAttention(
  g: GraphBuilder,
  group: number,
  byHead: string,
  q: string,
  k: string,
  v: string,
): string {
  const repeat = (x: string) => {
    if (group === 1) return x;
    const apart = g.node("Unsqueeze", [x, g.int64([2])]);
    return g.node("Reshape", [g.node("Tile", [apart, g.int64([1, 1, group, 1, 1])]), byHead]);
  };
  return g.node("Attention", [q, repeat(k), repeat(v)], { is_causal: 1 });
}
