import {
  BLOCK_KINDS,
  type BlockKind,
  type BlockRef,
  groupSize,
  innerWidth,
  type LayerSpec,
  type ModelSpec,
  replaceLayer,
} from "@lopper/core";

/**
 * The three dimensions of MultiPruner; blocks come in two kinds. What keeps all layers alike has kinds of its own: a whole
 * layer, and channels or heads of all layers at once.
 */
export const CANDIDATE_KINDS = [
  "attention",
  "mlp",
  "mlp_channels",
  "attention_heads",
  "layer",
  "all_mlp_channels",
  "all_attention_heads",
] as const;
export type CandidateKind = typeof CANDIDATE_KINDS[number];

/** The current plan with one block, one channel group or one head group less. */
export interface Candidate {
  /** "attention", "mlp" and "layer" remove what they name, the others narrow it. */
  readonly candidateKind: CandidateKind;
  /** Where it changes; the first of the layers where that is in all of them. */
  readonly layer: number;
  /** The first block that changes. */
  readonly kind: BlockKind;
  /** Channels left after it: intermediate channels, or query channels; 0 for a removed block. */
  readonly width: number;
  /** The layers that remain when it is taken. */
  readonly layers: readonly LayerSpec[];
}

/** A candidate in the journal. */
export interface CandidateName {
  readonly kind: CandidateKind;
  readonly layer: number;
  readonly width: number;
}

export function nameOf({ candidateKind, layer, width }: Candidate): CandidateName {
  return { kind: candidateKind, layer, width };
}

/** The blocks that a candidate removes. */
export function removedBlocks({ kind, layer }: CandidateName): readonly BlockRef[] {
  switch (kind) {
    case "attention":
    case "mlp":
      return [{ layer, kind }];
    case "layer":
      return BLOCK_KINDS.map((kind) => ({ layer, kind }));
    default:
      return [];
  }
}

/** The block that a candidate of one layer changes. */
export function blockOf({ kind, layer }: CandidateName): BlockRef {
  return { layer, kind: kind === "attention" || kind === "attention_heads" ? "attention" : "mlp" };
}

/**
 * The layers after a candidate was taken. One that narrows a block says how wide the block is then; the same says how wide
 * one is that comes back.
 * @param spec the dense model.
 */
export function layersAfter(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  { kind, layer, width }: CandidateName,
): readonly LayerSpec[] {
  const heads = (at: number) => {
    const queryHeads = width / spec.headDim;
    const kvHeads = queryHeads / groupSize(spec.layers[at].attention!);
    return { attention: { queryHeads, kvHeads } };
  };
  const channels = { mlp: { intermediateSize: width } };
  switch (kind) {
    case "attention":
    case "mlp":
      return replaceLayer(layers, layer, { [kind]: null });
    case "layer":
      return replaceLayer(layers, layer, { attention: null, mlp: null });
    case "mlp_channels":
      return replaceLayer(layers, layer, channels);
    case "attention_heads":
      return replaceLayer(layers, layer, heads(layer));
    case "all_mlp_channels":
      return layers.map((shape) => shape.mlp ? { ...shape, ...channels } : shape);
    case "all_attention_heads":
      return layers.map((shape, i) => shape.attention ? { ...shape, ...heads(i) } : shape);
  }
}

/** Every attention block still present, in layer order, then every MLP block still present. */
export function blockCandidates(layers: readonly LayerSpec[]): readonly Candidate[] {
  return (["attention", "mlp"] as const).flatMap((kind) =>
    layers.flatMap((shape, layer): Candidate[] =>
      shape[kind]
        ? [{
          candidateKind: kind,
          layer,
          kind,
          width: 0,
          layers: replaceLayer(layers, layer, { [kind]: null }),
        }]
        : []
    )
  );
}

/** Each layer whose MLP is present and keeps more than 0 channels after losing `group` of them. */
export function channelCandidates(
  layers: readonly LayerSpec[],
  group: number,
): readonly Candidate[] {
  return layers.flatMap(({ mlp }, layer): Candidate[] => {
    const width = (mlp?.intermediateSize ?? 0) - group;
    if (width <= 0) return [];
    const narrower = replaceLayer(layers, layer, { mlp: { intermediateSize: width } });
    return [{ candidateKind: "mlp_channels", layer, kind: "mlp", width, layers: narrower }];
  });
}

/**
 * Each layer whose attention is present and keeps more than 0 query channels after losing `group` of them.
 * @param group query channels, a multiple of headDim · (query heads per KV head).
 */
export function headCandidates(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  group: number,
): readonly Candidate[] {
  return layers.flatMap(({ attention }, layer): Candidate[] => {
    if (!attention) return [];
    const width = attention.queryHeads * spec.headDim - group;
    if (width <= 0) return [];
    const queryHeads = width / spec.headDim;
    const narrower = replaceLayer(layers, layer, {
      attention: { queryHeads, kvHeads: queryHeads / groupSize(attention) },
    });
    return [{
      candidateKind: "attention_heads",
      layer,
      kind: "attention",
      width,
      layers: narrower,
    }];
  });
}

/**
 * What of a model that was pruned may come back: a removed block as wide as it was when it went, and one group of a block
 * that is narrower than the dense model's.
 * @param last for each block the shape that it has, or had when it went.
 */
export function restorations(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  last: readonly LayerSpec[],
  { mlpGroup, attentionGroup }: { readonly mlpGroup: number; readonly attentionGroup: number },
): readonly Candidate[] {
  const back = (kind: BlockKind, layer: number, width: number): Candidate => {
    const candidateKind = kind === "mlp" ? "mlp_channels" : "attention_heads";
    const name = { kind: candidateKind, layer, width } as const;
    return { candidateKind, layer, kind, width, layers: layersAfter(spec, layers, name) };
  };
  return BLOCK_KINDS.flatMap((kind) =>
    layers.flatMap((shape, layer): Candidate[] => {
      const width = innerWidth(spec, shape, kind);
      const before = innerWidth(spec, last[layer], kind);
      if (width === 0) return before === 0 ? [] : [back(kind, layer, before)];
      const whole = innerWidth(spec, spec.layers[layer], kind);
      const group = kind === "mlp" ? mlpGroup : attentionGroup;
      return width < whole ? [back(kind, layer, Math.min(whole, width + group))] : [];
    })
  );
}

/** Every layer that is present, as long as another one is. */
export function layerCandidates(layers: readonly LayerSpec[]): readonly Candidate[] {
  const present = layers.flatMap(({ attention, mlp }, layer) => attention && mlp ? [layer] : []);
  return present.length < 2 ? [] : present.map((layer): Candidate => ({
    candidateKind: "layer",
    layer,
    kind: "attention",
    width: 0,
    layers: replaceLayer(layers, layer, { attention: null, mlp: null }),
  }));
}

/** All MLPs cut to `width` channels; the layers that are present are alike. */
export function allChannelsCandidate(layers: readonly LayerSpec[], width: number): Candidate {
  return {
    candidateKind: "all_mlp_channels",
    layer: layers.findIndex(({ mlp }) => mlp),
    kind: "mlp",
    width,
    layers: layers.map((layer) =>
      layer.mlp ? { ...layer, mlp: { intermediateSize: width } } : layer
    ),
  };
}

/** All attentions cut to `queryHeads`, whole KV groups; the layers that are present are alike. */
export function allHeadsCandidate(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  queryHeads: number,
): Candidate {
  return {
    candidateKind: "all_attention_heads",
    layer: layers.findIndex(({ attention }) => attention),
    kind: "attention",
    width: queryHeads * spec.headDim,
    layers: layers.map((layer) => {
      if (!layer.attention) return layer;
      const kvHeads = queryHeads / groupSize(layer.attention);
      return { ...layer, attention: { queryHeads, kvHeads } };
    }),
  };
}
