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
  /** `head_dim` when config.json has none: a number, or hidden size / heads. */
  readonly defaultHeadDim: number | "hidden/heads";
  /** `num_key_value_heads` when config.json has none: as many as query heads, or an error. */
  readonly defaultKvHeads: "heads" | "required";
  /** Which key of config.json switches sliding-window attention on. */
  readonly slidingWindow: "never" | "sliding_window" | "use_sliding_window";
  /** Tokens of the window when config.json has no `sliding_window`, as transformers reads it. */
  readonly defaultSlidingWindow: number | null;
  readonly tensorNames: TensorNames;
  readonly pruneGroups: Readonly<Record<"attention" | "mlp", PruneGroup>>;
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
