import type { AttentionShape, MlpShape, ModelSpec } from "@lopper/core";
import { GraphBuilder, MICROSOFT, type StoredWeight } from "./graph_builder.ts";
import { linear, rmsNorm, silu } from "./layers.ts";
import { paddedMask, plainAttention } from "./plain_attention.ts";
import { type MatrixForm, type MatrixPart, storedLinear } from "./stored_linear.ts";

/** A weight of a decoder by its place: `layer` is null outside the layers. */
export interface DecoderWeight {
  readonly layer: number | null;
  readonly part: "embedding" | "finalNorm" | "lmHead" | "attention" | "mlp";
  /** Name within its block, e.g. "down"; "" outside the layers. */
  readonly weight: string;
}

export interface CachedDecoderOptions {
  /** How the matrices lie in the files. Norms and biases are float32 in any case, too few to count. */
  readonly matrices: MatrixForm;
  /** Tokens that the attention of each layer reaches back, itself included, or null for all. */
  readonly windows: readonly (number | null)[];
  /** Angle per position of each pair of channels, `[headDim / 2]`, radians per token. */
  readonly frequencies: Float32Array;
  /**
   * Says where the bytes of a weight lie, or of one part of it. Called once for each, in the order in which the graph reads
   * them. The LM head of a tied model is asked for only in forms that are not the embedding's.
   */
  readonly store: (weight: DecoderWeight, part: MatrixPart) => StoredWeight;
}

/** Newer operators are in fewer builds of onnxruntime; nothing here needs a later one. */
const OPSET = 21;

/**
 * A whole decoder from token ids to logits, with a key/value cache, as an ONNX graph in the layout of transformers.js and
 * optimum, whose weights lie in files beside it.
 *
 * Feeds: `input_ids int64 [B, T]`; `attention_mask int64 [B, S]`, 1 for every token that counts, S = past + T;
 * `position_ids int64 [B, T]`; for each layer that keeps attention, numbered densely from 0,
 * `past_key_values.N.key` and `.value float32 [B, kvHeads, past, headDim]`. Fetches, float32: `logits [B, T, V]`, and
 * `present.N.key` and `.value [B, kvHeads, S, headDim]`.
 *
 * Head counts and head size are declared as numbers: readers make the empty past of each layer from them. Attention is
 * MatMul and Softmax, which every engine has, computes alike, and with a mask for each sequence of a batch, so that
 * padding on either side is right. All arithmetic is float32, whatever the matrices are stored as.
 */
export function cachedDecoder(spec: ModelSpec, options: CachedDecoderOptions): Uint8Array {
  const { hiddenSize, headDim, vocabSize, layers } = spec;
  const g = new GraphBuilder("decoder", OPSET);
  const ids = g.input("input_ids", "int64", ["batch_size", "sequence_length"]);
  const attended = g.input("attention_mask", "int64", ["batch_size", "total_sequence_length"]);
  const positions = g.input("position_ids", "int64", ["batch_size", "sequence_length"]);

  const block: BlockContext = { g, spec, options };
  const embedding = g.storedWeight(
    options.store(outer("embedding"), embeddingPart(options.matrices)),
  );
  const rows = g.node("Reshape", [g.node("Gather", [embedding, ids]), g.int64([-1, hiddenSize])]);
  let hidden = options.matrices === "float32" ? rows : g.cast(rows, "float32");
  const attend = attentionNodes(block, { ids, attended, positions });
  let cached = 0;
  layers.forEach((shape, layer) => {
    if (shape.attention) {
      const { kvHeads } = shape.attention;
      const dims = (length: string) => ["batch_size", kvHeads, length, headDim];
      const past = ["key", "value"].map((part) =>
        g.input(`past_key_values.${cached}.${part}`, "float32", dims("past_sequence_length"))
      );
      const { out, present } = attentionLayer(block, layer, shape.attention, hidden, past, attend);
      hidden = out;
      ["key", "value"].forEach((part, i) =>
        g.output(
          `present.${cached}.${part}`,
          present[i],
          "float32",
          dims("total_sequence_length"),
        )
      );
      cached += 1;
    }
    if (shape.mlp) hidden = mlpLayer(block, layer, shape.mlp, hidden);
  });
  const last = normed(block, hidden, outer("finalNorm"));
  const shared = spec.tiedEmbeddings && embeddingPart(options.matrices) === options.matrices;
  const scores = shared
    ? linear(g, last, options.matrices === "float32" ? embedding : g.cast(embedding, "float32"))
    : project(block, last, outer("lmHead"), [vocabSize, hiddenSize], false);
  const shape = g.node("Concat", [g.node("Shape", [ids]), g.int64([vocabSize])], { axis: 0 });
  const logits = g.node("Reshape", [scores, shape]);
  g.output("logits", logits, "float32", ["batch_size", "sequence_length", vocabSize]);
  return g.encode();
}

interface BlockContext {
  readonly g: GraphBuilder;
  readonly spec: ModelSpec;
  readonly options: CachedDecoderOptions;
}

function outer(part: "embedding" | "finalNorm" | "lmHead"): DecoderWeight {
  return { layer: null, part, weight: "" };
}

/** The rows that token ids pick are picked from float32, or from float16 where matrices are smaller than that. */
function embeddingPart(matrices: MatrixForm): "float32" | "float16" {
  return matrices === "float32" ? "float32" : "float16";
}

function vector({ g, options }: BlockContext, weight: DecoderWeight): string {
  return g.storedWeight(options.store(weight, "float32"));
}

/** The norm of a value over its last axis. */
function normed(block: BlockContext, x: string, weight: DecoderWeight): string {
  return rmsNorm(block.g, x, vector(block, weight), block.spec.rmsNormEps);
}

/** x · Wᵀ (+ bias) for a matrix `[rows, columns]`; x is `[N, columns]`. */
function project(
  block: BlockContext,
  x: string,
  weight: DecoderWeight,
  [rows, columns]: readonly [number, number],
  biased: boolean,
): string {
  const { g, options } = block;
  const bias = biased ? vector(block, { ...weight, weight: `${weight.weight}_bias` }) : undefined;
  const store = (part: MatrixPart) => options.store(weight, part);
  return storedLinear(g, x, options.matrices, [rows, columns], store, bias);
}

function attentionLayer(
  block: BlockContext,
  layer: number,
  { queryHeads, kvHeads }: AttentionShape,
  hidden: string,
  past: readonly string[],
  attend: ReturnType<typeof attentionNodes>,
): { readonly out: string; readonly present: readonly string[] } {
  const { g, spec } = block;
  const { hiddenSize, headDim, biases } = spec;
  const ref = (weight: string): DecoderWeight => ({ layer, part: "attention", weight });
  const x = normed(block, hidden, ref("norm"));
  const [q, k, v] = (["q", "k", "v"] as const).map((name) => {
    const heads = name === "q" ? queryHeads : kvHeads;
    const y = project(block, x, ref(name), [heads * headDim, hiddenSize], biases.qkv);
    if (!spec.qkNorm || name === "v") return y;
    const byHead = g.node("Reshape", [y, g.int64([-1, headDim])]);
    return normed(block, byHead, ref(`${name}_norm`));
  });
  const [context, ...present] = attend(layer, [q, k, v], past);
  const width = queryHeads * headDim;
  const joined = g.node("Reshape", [context, g.int64([-1, width])]);
  const lowered = project(block, joined, ref("o"), [hiddenSize, width], biases.output);
  return { out: g.node("Add", [hidden, lowered]), present };
}

function mlpLayer(
  block: BlockContext,
  layer: number,
  { intermediateSize: width }: MlpShape,
  hidden: string,
): string {
  const { g, spec: { hiddenSize, biases } } = block;
  const ref = (weight: string): DecoderWeight => ({ layer, part: "mlp", weight });
  const x = normed(block, hidden, ref("norm"));
  const gated = project(block, x, ref("gate"), [width, hiddenSize], biases.mlp);
  const raised = project(block, x, ref("up"), [width, hiddenSize], biases.mlp);
  const product = g.node("Mul", [silu(g, gated), raised]);
  const lowered = project(block, product, ref("down"), [hiddenSize, width], biases.mlp);
  return g.node("Add", [hidden, lowered]);
}

/**
 * Adds what all layers share (rotary table, masks), and returns what adds the attention of one: from q, k, v `[N, heads · D]`
 * and the past to the context `[B, T, heads, D]`, keys and values.
 */
function attentionNodes(
  { g, spec: { headDim }, options: { windows, frequencies } }: BlockContext,
  inputs: { readonly ids: string; readonly attended: string; readonly positions: string },
) {
  const size = (x: string, axis: number) => g.node("Shape", [x], { start: axis, end: axis + 1 });
  const batch = size(inputs.ids, 0);
  const length = size(inputs.ids, 1);
  const total = size(inputs.attended, 1);

  // The table has a row for each token of the batch, and each token reads its own: positions may be any.
  const angles = g.node("Mul", [
    g.cast(g.node("Reshape", [inputs.positions, g.int64([-1, 1])]), "float32"),
    g.float32s(frequencies, [1, headDim / 2]),
  ]);
  const [cos, sin] = [g.node("Cos", [angles]), g.node("Sin", [angles])];
  const scalar = (x: string) => g.node("Squeeze", [x, g.int64([0])]);
  const tokens = scalar(g.node("Mul", [batch, length]));
  const counted = g.node("Range", [scalar(g.int64([0])), tokens, scalar(g.int64([1]))]);
  const rows = g.node("Reshape", [counted, g.node("Shape", [inputs.ids])]);

  const byToken = g.node("Concat", [batch, length, g.int64([-1, headDim])], { axis: 0 });
  const heads = (x: string) =>
    g.node("Transpose", [g.node("Reshape", [x, byToken])], { perm: [0, 2, 1, 3] });
  const rotate = (x: string) =>
    g.node("RotaryEmbedding", [heads(x), rows, cos, sin], {}, MICROSOFT);
  const byWindow = new Map<number | null, ReturnType<typeof plainAttention>>();
  const plain = (window: number | null) => {
    let found = byWindow.get(window);
    if (!found) {
      const mask = paddedMask(g, inputs.attended, { length, total }, window);
      byWindow.set(window, found = plainAttention(g, headDim, { batch, length, total }, mask));
    }
    return found;
  };
  return (layer: number, [q, k, v]: readonly string[], [pastKey, pastValue]: readonly string[]) => {
    const keys = g.node("Concat", [pastKey, rotate(k)], { axis: 2 });
    const values = g.node("Concat", [pastValue, heads(v)], { axis: 2 });
    const context = plain(windows[layer]).attend(g, rotate(q), keys, values);
    return [g.node("Transpose", [context], { perm: [0, 2, 1, 3] }), keys, values];
  };
}
