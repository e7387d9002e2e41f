import { attentionParameters, countParameters, mlpParameters } from "./counts.ts";
import type { BlockKind, LayerSpec, ModelSpec } from "./model_spec.ts";

/**
 * What pruning saves, as a sum: each block takes its part, and what lies around the blocks a part that stays. NetAdapt (arXiv
 * 1804.03230) calls it a resource, and prunes by one that was measured instead of counted.
 */
export interface Resource {
  readonly name: "parameters" | "latency";
  /** What a model with these layers takes in all. */
  amount(layers: readonly LayerSpec[]): number;
  /** What one block takes of it; 0 where it was removed. */
  block(layer: LayerSpec, kind: BlockKind): number;
}

/** Parameters as the published pruning ratio counts them: the norm of a removed block still counts, as nothing of the block. */
export function parametersOf(spec: ModelSpec): Resource {
  return {
    name: "parameters",
    amount: (layers) => countParameters(spec, layers, { norms: "kept" }).total,
    block: ({ attention, mlp }, kind) =>
      kind === "attention"
        ? (attention ? attentionParameters(spec, attention) : 0)
        : (mlp ? mlpParameters(spec, mlp) : 0),
  };
}

/** What `layers` do without, in per cent of what the dense layers take; of parameters, the published pruning ratio. */
export function reduction(
  resource: Resource,
  dense: readonly LayerSpec[],
  layers: readonly LayerSpec[],
): number {
  return (1 - resource.amount(layers) / resource.amount(dense)) * 100;
}
