import {
  type Architecture,
  type Block,
  groupSize,
  headsOf,
  type OuterPart,
  type Rope,
  ropeKey,
  ropesOf,
} from "@lopper/core";
import type { AttentionOp } from "./attention/fed_options.ts";
import { attendByHead } from "./attention/heads.ts";
import { type AttentionSizes, causalMask, tokenDistances } from "./attention/masks.ts";
import { residentOperatorLacks } from "./attention/operator_lacks.ts";
import {
  type AmongTokens,
  once,
  type PlainAttention,
  plainAttention,
} from "./attention/plain_attention.ts";
import { grownQueries } from "./attention/query_growth.ts";
import { rotated, rotatedChannels } from "./attention/rotation.ts";
import { blockNodes } from "./block_nodes.ts";
import { type Attend, notAttended } from "./block_scope.ts";
import { GraphBuilder, MICROSOFT } from "./graph_builder.ts";
import { embeddedNodes } from "./embedded.ts";
import { crossEntropyNodes, headNodes, unitRows } from "./head.ts";
import { layerInputs } from "./layer_input.ts";
import { linear } from "./layers.ts";
import { residentWeights } from "./weights/resident.ts";

/**
 * Which operators compute attention where weights are resident. The head counts change from run to
 * run, which rules out com.microsoft.GroupQueryAttention and MultiHeadAttention: theirs are
 * attributes. (The former has no float32 kernel in onnxruntime 1.30.0's CUDA provider besides.)
 *
 * `attention` is ONNX 23's operator with every key and value head repeated for its query heads: the
 * CUDA provider's memory-efficient float32 kernel takes only equal head counts, and otherwise
 * materialises all scores. The WebGPU provider has no kernel for it. `plain` needs MatMul and
 * Softmax only, which every provider has, and memory for `[B, heads, T, T]` scores.
 */
export type ResidentAttentionOp = Exclude<AttentionOp, "gqa">;

export interface ResidentDecoderOptions {
  readonly op: ResidentAttentionOp;
  /** The engine has a kernel for the LogSoftmax operator. */
  readonly logSoftmax: boolean;
}

/**
 * Attention came with opset 23. The WebGPU provider of 1.30.0 has kernels for If up to opset 22.
 */
const OPSET: Record<ResidentAttentionOp, number> = { attention: 23, plain: 22 };

/**
 * A whole decoder from token ids to the cross-entropy of every prediction as an ONNX graph that
 * owns its weights, so that they stay on the device: a run moves ids, a few numbers a layer and the
 * rotary tables in, and `[N]` numbers out. One compiled graph serves every narrower model, since a
 * narrower block reads the first rows of its weights, and a removed one is a branch that is not
 * taken.
 *
 * Feeds: `ids int64 [B, T]`, those of `crossEntropyNodes`, and where a block is attended `positions
 * int64 [B, T]` and what `residentRotaries` names, `float32 [P, C/2]` of C rotated channels; for
 * each block that the checkpoint has `<id>.keep bool []` and what `residentRows` says, the rows
 * kept, `int64 [1]`. The lengths come one by one, and ready for use: a vector of all of them, or a
 * comparison with 0, would be computed on the device, and each block would wait for a number to
 * come back from it. Fetch: `cross_entropy float32 [B·T]`, in nats.
 *
 * Weights (float32, given to `compile`): `embedding [V, H]` unless it is tied, `norm [H]`, `lm_head
 * [V, H]`, and those of each block at full width, named by `residentWeightName` and laid out as
 * `laidOutAxes` says.
 */
export function residentDecoder(
  architecture: Architecture,
  options: ResidentDecoderOptions,
): Uint8Array {
  const { hiddenSize, vocabSize, norm, outer } = architecture;
  const g = new GraphBuilder("resident_decoder", OPSET[options.op]);
  const blocks = architecture.blocks;
  const attended = blocks.some((block) => block.attention !== undefined);
  const ids = g.input("ids", "int64", ["B", "T"]);
  const lmHead = g.weight("lm_head", [vocabSize, hiddenSize]);
  const table = architecture.tiedEmbeddings
    ? lmHead
    : g.weight("embedding", [vocabSize, hiddenSize]);
  const whole = (part: OuterPart, name: string, size: number) =>
    outer.includes(part) ? g.weight(name, [size]) : undefined;
  const [weight, bias] = [
    whole("finalNorm", "norm", hiddenSize),
    whole("finalNormBias", "norm_bias", hiddenSize),
  ];
  const headBias = whole("lmHeadBias", "lm_head_bias", vocabSize);
  const positions = attended || outer.includes("positions")
    ? g.input("positions", "int64", ["B", "T"])
    : undefined;
  const embedded = embeddedNodes(g, architecture, {
    rows: g.node("Gather", [table, ids]),
    positions: outer.includes("positions")
      ? learnedPositions(g, architecture, positions!)
      : undefined,
  });
  let hidden = g.node("Reshape", [embedded, g.int64([-1, hiddenSize])]);
  const readBy = layerInputs();
  const attentionIn = attended
    ? attention(g, architecture, options.op, { ids, positions: positions! })
    : undefined;
  for (const block of blocks) {
    const sum = hidden;
    const read = readBy(block, hidden);
    const weightsIn = residentWeights(g, block);
    const run = (branch: GraphBuilder) => {
      const weights = weightsIn(branch);
      const attend = block.attention ? attentionIn!(branch, block) : notAttended(block);
      return blockNodes({ g: branch, block, weights, norm, attend }, { sum, read, hiddenSize }).out;
    };
    const skip = (branch: GraphBuilder) => branch.node("Identity", [sum]);
    const keep = g.input(`${block.id}.keep`, "bool", []);
    hidden = g.choose(keep, run, skip, "float32", ["N", hiddenSize]);
  }
  const head = architecture.scaling?.unitHead ? unitRows(g, lmHead) : lmHead;
  const scores = headNodes(g, hidden, architecture, {
    ...{ weight, bias, headBias },
    product: (x) => linear(g, x, head),
  });
  g.output("cross_entropy", crossEntropyNodes(g, scores, options.logSoftmax), "float32", ["N"]);
  return g.encode();
}

/** Rows of the learned positions, `[B, T, H]`. */
function learnedPositions(
  g: GraphBuilder,
  { hiddenSize, maxPositions, scaling }: Architecture,
  positions: string,
): string {
  const offset = scaling?.positionOffset ?? 0;
  const table = g.weight("position_rows", [maxPositions + offset, hiddenSize]);
  return g.node("Gather", [table, g.node("Add", [positions, g.int64([offset])])]);
}

type AttentionIn = (branch: GraphBuilder, block: Block) => Attend;

/** A rotary embedding of a resident graph, with the names of the feeds that hold its table. */
export interface ResidentRotary {
  readonly rope: Rope;
  readonly cos: string;
  readonly sin: string;
}

/** The rotary embeddings of a model. */
export function residentRotaries(architecture: Architecture): readonly ResidentRotary[] {
  return ropesOf(architecture).map((rope, i) => {
    const suffix = i === 0 ? "" : `_${i}`;
    return { rope, cos: `cos${suffix}`, sin: `sin${suffix}` };
  });
}

/** Adds what all attention blocks share to the graph, and returns how one attends in a branch. */
function attention(
  g: GraphBuilder,
  architecture: Architecture,
  op: ResidentAttentionOp,
  { ids, positions }: { readonly ids: string; readonly positions: string },
): AttentionIn {
  const { headDim } = architecture;
  const tables = new Map(
    residentRotaries(architecture).map(({ rope, cos, sin }) => {
      const dims = ["P", rotatedChannels(rope, headDim) / 2];
      return [ropeKey(rope), [cos, sin].map((name) => g.input(name, "float32", dims))];
    }),
  );
  // Shapes stay on the host, whose values operators that take a shape read without waiting for the
  // device.
  const size = (axis: number) => g.node("Shape", [ids], { start: axis, end: axis + 1 });
  const [batch, length] = [size(0), size(1)];
  const [rest, width] = [g.int64([-1]), g.int64([headDim])];
  const concat = (...parts: string[]) => g.node("Concat", parts, { axis: 0 });
  const byToken = concat(batch, length, rest, width);
  const byHead = concat(batch, rest, length, width);
  const sizes = { batch, length, total: length };
  const among = amongTokens(g, sizes);
  const plains = new Map<number | null, PlainAttention>();
  const plainOf = (window: number | null) => {
    const plain = plains.get(window) ?? plainAttention(g, headDim, sizes, among(window));
    plains.set(window, plain);
    return plain;
  };
  return (branch, block) => {
    const attention = block.attention!;
    const { rope, window } = attention;
    const takes = op !== "plain" && residentOperatorLacks(op, block) === null;
    const own = takes
      ? onnxAttention(branch, block, {
        byHead,
        mask: window === null ? null : among(window).mask,
      })
      : undefined;
    return (heads) =>
      attendByHead(branch, {
        shape: byToken,
        // ONNX's own RotaryEmbedding came with opset 23.
        rotate: (x) =>
          rope
            ? rotated(branch, rope, headDim, x, (part, attributes) => {
              const inputs = [part, positions, ...tables.get(ropeKey(rope))!];
              return branch.node("RotaryEmbedding", inputs, attributes, MICROSOFT);
            })
            : x,
        attend: (rotatedQueries, k, v) => {
          const q = grownQueries(branch, attention.queryGrowth, rotatedQueries, positions);
          return own?.(q, k, v) ?? plainOf(window).attend(branch, attention, { ...heads, q, k, v });
        },
      }, heads);
  };
}

/** What tokens are to one another in blocks with a window, each made once. */
function amongTokens(
  g: GraphBuilder,
  sizes: AttentionSizes,
): (window: number | null) => AmongTokens {
  const distances = once(() => tokenDistances(g, sizes));
  const masks = new Map<number | null, string>();
  return (window) => {
    const mask = masks.get(window) ?? causalMask(g, sizes, window);
    masks.set(window, mask);
    return { mask, distances };
  };
}

/**
 * q `[B, heads, T, D]`, k and v `[B, heads / group, T, D]` → `[B, heads, T, D]`, whose shape
 * `byHead` is. Without a mask, a query sees itself and all tokens before it.
 */
function onnxAttention(
  g: GraphBuilder,
  block: Block,
  { byHead, mask }: { readonly byHead: string; readonly mask: string | null },
): (q: string, k: string, v: string) => string {
  const heads = headsOf(block);
  const group = groupSize(heads);
  const { scale } = block.attention!;
  const usual = scale === 1 / Math.sqrt(heads.headDim);
  const scaled: Record<string, { readonly float: number }> = usual
    ? {}
    : { scale: { float: scale } };
  const repeat = (x: string) => {
    if (group === 1) return x;
    const apart = g.node("Unsqueeze", [x, g.int64([2])]);
    return g.node("Reshape", [g.node("Tile", [apart, g.int64([1, 1, group, 1, 1])]), byHead]);
  };
  return (q, k, v) => {
    const inputs = [q, repeat(k), repeat(v)];
    return mask === null
      ? g.node("Attention", inputs, { is_causal: 1, ...scaled })
      : g.node("Attention", [...inputs, mask], scaled);
  };
}
