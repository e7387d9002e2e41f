import type { AttentionShape, BlockKind, LayerSpec, MlpShape, ModelSpec } from "./model_spec.ts";

/** Parameters of a model by part; each weight is counted once (a tied LM head belongs to `embedding`). */
export interface ParameterCounts {
  readonly embedding: number;
  readonly lmHead: number;
  readonly attention: number;
  readonly mlp: number;
  readonly norms: number;
  readonly total: number;
}

/** Weights of one attention block without its norm: q, k, v, o, their biases and the q/k norms. */
export function attentionParameters(spec: ModelSpec, { queryHeads, kvHeads }: AttentionShape) {
  const { hiddenSize, headDim, biases, qkNorm } = spec;
  const q = queryHeads * headDim;
  const kv = kvHeads * headDim;
  const norms = qkNorm === "full" ? q + kv : qkNorm ? 2 * headDim : 0;
  return (2 * q + 2 * kv) * hiddenSize + (biases.qkv ? q + 2 * kv : 0) +
    (biases.output ? hiddenSize : 0) + norms;
}

/** Weights of one SwiGLU block without its norm: gate, up, down and their biases. */
export function mlpParameters(spec: ModelSpec, { intermediateSize }: MlpShape) {
  const { hiddenSize, biases } = spec;
  return 3 * intermediateSize * hiddenSize + (biases.mlp ? 2 * intermediateSize + hiddenSize : 0);
}

/**
 * Parameters of `spec` with other layer shapes.
 *
 * `norms: "kept"` counts the input norm of a removed block, as the published implementation does for its pruning
 * ratio; `norms: "dropped"` counts what a pruned checkpoint stores.
 */
export function countParameters(
  spec: ModelSpec,
  layers: readonly LayerSpec[] = spec.layers,
  options: { norms: "kept" | "dropped" } = { norms: "dropped" },
): ParameterCounts {
  const { hiddenSize, vocabSize, tiedEmbeddings } = spec;
  let attention = 0, mlp = 0, norms = hiddenSize;
  for (const layer of layers) {
    if (layer.attention) attention += attentionParameters(spec, layer.attention);
    if (layer.mlp) mlp += mlpParameters(spec, layer.mlp);
    if (layer.attention || options.norms === "kept") norms += hiddenSize;
    if (layer.mlp || options.norms === "kept") norms += hiddenSize;
  }
  const embedding = vocabSize * hiddenSize;
  const lmHead = tiedEmbeddings ? 0 : embedding;
  return {
    embedding,
    lmHead,
    attention,
    mlp,
    norms,
    total: embedding + lmHead + attention + mlp + norms,
  };
}

/** Pruning ratio in per cent as published: 100 · (1 − parameters now / parameters of `spec`), norms kept. */
export function pruningRatio(spec: ModelSpec, layers: readonly LayerSpec[]): number {
  const total = countParameters(spec, spec.layers, { norms: "kept" }).total;
  return (1 - countParameters(spec, layers, { norms: "kept" }).total / total) * 100;
}

/** Multiply-accumulates per token of one block in a causal sequence of `seqLen` tokens (mean over its positions). */
export function blockMacs(spec: ModelSpec, layer: LayerSpec, kind: BlockKind, seqLen: number) {
  if (kind === "mlp") return layer.mlp ? 3 * layer.mlp.intermediateSize * spec.hiddenSize : 0;
  if (!layer.attention) return 0;
  const { queryHeads, kvHeads } = layer.attention;
  const projections = (2 * queryHeads + 2 * kvHeads) * spec.headDim * spec.hiddenSize;
  // scores and weighted values, each over (seqLen + 1) / 2 positions on average under the causal mask
  return projections + queryHeads * spec.headDim * (seqLen + 1);
}

/**
 * What the head (final norm, LM head, NLL) costs in blocks: its MACs per token over the mean MACs of a block of the
 * dense model. Block-tokens use it, so that one number covers a whole forward pass.
 */
export function headCostInBlocks(spec: ModelSpec, seqLen: number): number {
  let macs = 0, blocks = 0;
  for (const layer of spec.layers) {
    for (const kind of ["attention", "mlp"] as const) {
      if (!layer[kind]) continue;
      macs += blockMacs(spec, layer, kind, seqLen);
      blocks += 1;
    }
  }
  return blocks === 0 ? 1 : spec.vocabSize * spec.hiddenSize / (macs / blocks);
}

/** Multiply-accumulates per token of a whole model, LM head included, in a causal sequence of `seqLen` tokens. */
export function modelMacs(spec: ModelSpec, seqLen: number): number {
  const blocks = spec.layers.reduce(
    (sum, layer) =>
      sum + blockMacs(spec, layer, "attention", seqLen) + blockMacs(spec, layer, "mlp", seqLen),
    0,
  );
  return blocks + spec.vocabSize * spec.hiddenSize;
}
