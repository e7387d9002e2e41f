import {
  type Architecture,
  type Block,
  headsOf,
  type OuterPart,
  type Rope,
  ropeKey,
} from "@lopper/core";
import { attendByHead } from "./attention/heads.ts";
import { paddedMask, tokenDistances } from "./attention/masks.ts";
import { once, type PlainAttention, plainAttention } from "./attention/plain_attention.ts";
import { grownQueries } from "./attention/query_growth.ts";
import { type Rotate, rotated } from "./attention/rotation.ts";
import { blockNodes } from "./block_nodes.ts";
import type { Attend } from "./block_scope.ts";
import { GraphBuilder, MICROSOFT, type StoredWeight } from "./graph_builder.ts";
import { embeddedNodes } from "./embedded.ts";
import { headNodes } from "./head.ts";
import { layerInputs } from "./layer_input.ts";
import { linear } from "./layers.ts";
import { type MatrixForm, type MatrixPart, storedLinear } from "./stored_linear.ts";
import { storedWeights, type StoreWeight } from "./weights/stored.ts";

/** A weight of a decoder by its place. */
export interface DecoderWeight {
  /** Id of its block; null outside the blocks. */
  readonly block: string | null;
  /** Its name in the block; outside, "embedding", "finalNorm" or "lmHead". */
  readonly name: string;
  /** Of a stacked weight, the unit. */
  readonly unit?: number;
}

/** How a rotary embedding turns. */
export interface RotaryAngles {
  /** Angle per position of each rotated pair of channels, radians per token. */
  readonly frequencies: Float32Array;
  /** Those of texts of more tokens than `after`, where they are others. */
  readonly long?: { readonly after: number; readonly frequencies: Float32Array };
  /** What cosines and sines are multiplied with. */
  readonly factor: number;
}

export interface CachedDecoderOptions {
  /**
   * How the matrices lie in the files. Norms and biases are float32 in any case, too few to count.
   */
  readonly matrices: MatrixForm;
  readonly anglesOf: (rope: Rope) => RotaryAngles;
  /**
   * Says where the bytes of a weight lie, or of one part of it. Called once for each, in the order
   * in which the graph reads them. The LM head of a tied model is asked for only in forms that are
   * not the embedding's.
   */
  readonly store: (weight: DecoderWeight, part: MatrixPart) => StoredWeight;
}

/** Newer operators are in fewer builds of onnxruntime; nothing here needs a later one. */
const OPSET = 21;

/**
 * A whole decoder from token ids to logits, with a key/value cache, as an ONNX graph in the layout
 * of transformers.js and optimum, whose weights lie in files beside it.
 *
 * Feeds: `input_ids int64 [B, T]`; `attention_mask int64 [B, S]`, 1 for every token that counts, S
 * = past + T; `position_ids int64 [B, T]`; for each block that is attended, numbered densely from
 * 0, `past_key_values.N.key` and `.value float32 [B, kvHeads, past, headDim]`. Fetches, float32:
 * `logits [B, T, V]`, and `present.N.key` and `.value [B, kvHeads, S, headDim]`.
 *
 * Head counts and head size are declared as numbers: readers make the empty past of each layer from
 * them. Attention is MatMul and Softmax, which every engine has, computes alike, and with a mask
 * for each sequence of a batch, so that padding on either side is right. All arithmetic is float32,
 * whatever the matrices are stored as.
 */
export function cachedDecoder(
  architecture: Architecture,
  options: CachedDecoderOptions,
): Uint8Array {
  const { hiddenSize, vocabSize, norm } = architecture;
  const { matrices, store } = options;
  const g = new GraphBuilder("decoder", OPSET);
  const ids = g.input("input_ids", "int64", ["batch_size", "sequence_length"]);
  const attended = g.input("attention_mask", "int64", ["batch_size", "total_sequence_length"]);
  const positions = g.input("position_ids", "int64", ["batch_size", "sequence_length"]);

  const outer = (name: string, part: MatrixPart) => store({ block: null, name }, part);
  const embedding = g.storedWeight(outer("embedding", embeddingPart(matrices)));
  const read = (table: string, places: string) => {
    const found = g.node("Gather", [table, places]);
    return matrices === "float32" ? found : g.cast(found, "float32");
  };
  const embedded = embeddedNodes(g, architecture, {
    rows: read(embedding, ids),
    positions: architecture.outer.includes("positions")
      ? read(
        g.storedWeight(outer("positions", embeddingPart(matrices))),
        g.node("Add", [positions, g.int64([architecture.scaling?.positionOffset ?? 0])]),
      )
      : undefined,
  });
  let hidden = g.node("Reshape", [embedded, g.int64([-1, hiddenSize])]);
  const readBy = layerInputs();
  const attentionOf = attentionNodes(g, architecture, options.anglesOf, {
    ids,
    attended,
    positions,
  });
  for (const block of architecture.blocks) {
    const weights = storedWeights(g, block, matrices, placesIn(block, store));
    const scope = { g, block, weights, norm, attend: attentionOf(block) };
    hidden = blockNodes(scope, { sum: hidden, read: readBy(block, hidden), hiddenSize }).out;
  }
  const shared = architecture.tiedEmbeddings && embeddingPart(matrices) === matrices;
  const product = (x: string) =>
    shared
      ? linear(g, x, matrices === "float32" ? embedding : g.cast(embedding, "float32"))
      : storedLinear(g, x, matrices, [vocabSize, hiddenSize], (part) => outer("lmHead", part));
  const own = (part: OuterPart) =>
    architecture.outer.includes(part) ? g.storedWeight(outer(part, "float32")) : undefined;
  const scores = headNodes(g, hidden, architecture, {
    weight: own("finalNorm"),
    bias: own("finalNormBias"),
    product,
    headBias: own("lmHeadBias"),
  });
  const shape = g.node("Concat", [g.node("Shape", [ids]), g.int64([vocabSize])], { axis: 0 });
  const logits = g.node("Reshape", [scores, shape]);
  g.output("logits", logits, "float32", ["batch_size", "sequence_length", vocabSize]);
  return g.encode();
}

/** Where the bytes of a block's weights lie. */
function placesIn({ id: block }: Block, store: CachedDecoderOptions["store"]): StoreWeight {
  return (name, part, unit) => store({ block, name, unit }, part);
}

/**
 * The rows that token ids pick are picked from float32, or from float16 where matrices are smaller
 * than that.
 */
function embeddingPart(matrices: MatrixForm): "float32" | "float16" {
  return matrices === "float32" ? "float32" : "float16";
}

interface TokenInputs {
  readonly ids: string;
  readonly attended: string;
  readonly positions: string;
}

/** Sizes, as values of the graph, and what depends on nothing else. */
function tokenSizes(g: GraphBuilder, { ids, attended }: TokenInputs) {
  const size = (x: string, axis: number) => g.node("Shape", [x], { start: axis, end: axis + 1 });
  return { batch: size(ids, 0), length: size(ids, 1), total: size(attended, 1) };
}

/**
 * Adds the rotary embedding of all blocks: the table has a row for each token of the batch, and
 * each token reads its own, so that positions may be any.
 */
function rotaryNodes(
  g: GraphBuilder,
  angles: RotaryAngles,
  { ids, positions }: TokenInputs,
  { batch, length }: { readonly batch: string; readonly length: string },
): Rotate {
  const { factor } = angles;
  const perToken = g.node("Reshape", [positions, g.int64([-1, 1])]);
  const turned = g.node("Mul", [g.cast(perToken, "float32"), frequencyNodes(g, angles, perToken)]);
  const [cos, sin] = ["Cos", "Sin"].map((op) => {
    const values = g.node(op, [turned]);
    return factor === 1 ? values : g.node("Mul", [values, g.float32(factor)]);
  });
  const scalar = (x: string) => g.node("Squeeze", [x, g.int64([0])]);
  const tokens = scalar(g.node("Mul", [batch, length]));
  const counted = g.node("Range", [scalar(g.int64([0])), tokens, scalar(g.int64([1]))]);
  const rows = g.node("Reshape", [counted, g.node("Shape", [ids])]);
  return (x, attributes) => g.node("RotaryEmbedding", [x, rows, cos, sin], attributes, MICROSOFT);
}

/** Frequencies `[1, pairs]`, by the last of the positions, int64 `[N, 1]`, where that matters. */
function frequencyNodes(
  g: GraphBuilder,
  { frequencies, long }: RotaryAngles,
  positions: string,
): string {
  const dims = [1, frequencies.length];
  const usual = g.float32s(frequencies, dims);
  if (!long) return usual;
  const last = g.node("ReduceMax", [positions, g.int64([0])]);
  const isLong = g.node("Greater", [last, g.int64([long.after - 1])]);
  return g.node("Where", [isLong, g.float32s(long.frequencies, dims), usual]);
}

/**
 * Adds what all attention blocks share (rotary table, masks), and returns how one attends, with its
 * cache.
 */
function attentionNodes(
  g: GraphBuilder,
  architecture: Architecture,
  anglesOf: CachedDecoderOptions["anglesOf"],
  inputs: TokenInputs,
): (block: Block) => Attend {
  const { headDim } = architecture;
  const sizes = tokenSizes(g, inputs);
  const rotations = new Map<string, Rotate>();
  const rotationOf = (rope: Rope) => {
    const key = ropeKey(rope);
    const rotate = rotations.get(key) ?? rotaryNodes(g, anglesOf(rope), inputs, sizes);
    rotations.set(key, rotate);
    return rotate;
  };
  const { batch, length } = sizes;
  const shape = g.node("Concat", [batch, length, g.int64([-1, headDim])], { axis: 0 });
  const distances = once(() => tokenDistances(g, sizes));
  const byWindow = new Map<number | null, PlainAttention>();
  const within = (window: number | null) => {
    const mask = () => paddedMask(g, inputs.attended, sizes, window);
    const plain = byWindow.get(window) ??
      plainAttention(g, headDim, sizes, { mask: mask(), distances });
    byWindow.set(window, plain);
    return plain;
  };
  let cached = 0;
  return (block) => (heads) => {
    const attention = block.attention!;
    const { rope, window } = attention;
    return attendByHead(g, {
      shape,
      rotate: (x) => rope ? rotated(g, rope, headDim, x, rotationOf(rope)) : x,
      attend: (rotatedQueries, k, v) => {
        const q = grownQueries(g, attention.queryGrowth, rotatedQueries, inputs.positions);
        const [keys, values] = withPast(g, block, cached++, [k, v]);
        return within(window).attend(g, attention, { ...heads, q, k: keys, v: values });
      },
    }, heads);
  };
}

/**
 * Keys and values `[B, KV, T, D]` behind those of earlier tokens; what comes out goes into the
 * cache.
 */
function withPast(
  g: GraphBuilder,
  block: Block,
  number: number,
  now: readonly [keys: string, values: string],
): readonly string[] {
  const { kvHeads, headDim } = headsOf(block);
  const dims = (length: string) => ["batch_size", kvHeads, length, headDim];
  return ["key", "value"].map((part, i) => {
    const name = `past_key_values.${number}.${part}`;
    const past = g.input(name, "float32", dims("past_sequence_length"));
    const all = g.node("Concat", [past, now[i]], { axis: 2 });
    g.output(`present.${number}.${part}`, all, "float32", dims("total_sequence_length"));
    return all;
  });
}
