import type { BlockRef, PruneGroup } from "@lopper/core";

/** Where a setting comes from: fixed by the family, or a boolean key of config.json (absent = false). */
export type Setting = boolean | "attention_bias" | "mlp_bias";

/**
 * What distinguishes one model family from another, as data. All families here are pre-norm decoders with rotary
 * embedding and a SwiGLU MLP; what differs is named below.
 */
export interface Family {
  readonly modelType: string;
  /** How it is written in the names of transformers' classes. */
  readonly className: string;
  readonly biases: { readonly qkv: Setting; readonly output: Setting; readonly mlp: Setting };
  /** RMS norm over each query and key head. */
  readonly qkNorm: boolean;
  /**
   * Which key of config.json switches sliding-window attention on, and where: "sliding_window" in all layers,
   * "use_sliding_window" in those that `layer_types` names, else in those from `max_window_layers` on.
   */
  readonly slidingWindow: "never" | "sliding_window" | "use_sliding_window";
  /** What keys mean that config.json does not have. */
  readonly defaults: FamilyDefaults;
  readonly tensorNames: TensorNames;
  readonly pruneGroups: Readonly<Record<"attention" | "mlp", PruneGroup>>;
}

/** What absent keys of config.json mean (transformers 5.24, `LlamaConfig` and its like). Sizes of the weights have no default. */
export interface FamilyDefaults {
  /** `max_position_embeddings` */
  readonly maxPositions: number;
  /** `rms_norm_eps` */
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  /** `num_key_value_heads`; a null there means as many as query heads in every family. */
  readonly kvHeads: number | "heads";
  readonly headDim: number | "hidden/heads";
  /** Tokens of `sliding_window`; only a null there means none. */
  readonly slidingWindow: number | null;
  /** `max_window_layers` */
  readonly maxWindowLayers: number;
}

/** Names of weights in the checkpoint. `{l}` stands for the layer's number. */
export interface TensorNames {
  readonly embedding: string;
  readonly finalNorm: string;
  readonly lmHead: string;
  readonly attention: Readonly<Record<AttentionWeight, string>>;
  readonly mlp: Readonly<Record<MlpWeight, string>>;
  /** Tensors that some exporters add and that hold nothing to learn or prune. */
  readonly ignored: RegExp;
}

export const ATTENTION_WEIGHTS = [
  "norm",
  "q",
  "k",
  "v",
  "o",
  "q_bias",
  "k_bias",
  "v_bias",
  "o_bias",
  "q_norm",
  "k_norm",
] as const;
export const MLP_WEIGHTS = [
  "norm",
  "gate",
  "up",
  "down",
  "gate_bias",
  "up_bias",
  "down_bias",
] as const;
export type AttentionWeight = typeof ATTENTION_WEIGHTS[number];
export type MlpWeight = typeof MLP_WEIGHTS[number];
export type BlockWeight = AttentionWeight | MlpWeight;

/** The checkpoint's name of one weight of a block. */
export function blockTensorName(
  names: TensorNames,
  { layer, kind }: BlockRef,
  weight: BlockWeight,
): string {
  const patterns: Readonly<Record<string, string>> = names[kind];
  return patterns[weight].replace("{l}", String(layer));
}
