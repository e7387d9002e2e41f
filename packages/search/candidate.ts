import {
  type BlockKind,
  groupSize,
  type LayerSpec,
  type ModelSpec,
  replaceLayer,
} from "@lopper/core";

/** The three dimensions of MultiPruner; blocks come in two kinds. */
export type CandidateKind = "attention" | "mlp" | "mlp_channels" | "attention_heads";

/** The current plan with one block, one channel group or one head group less. */
export interface Candidate {
  /** "attention" and "mlp" remove the block, the others narrow it. */
  readonly candidateKind: CandidateKind;
  readonly layer: number;
  /** The block that changes. */
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
