import type {
  Activation,
  Attention,
  Block,
  Gating,
  NormKind,
  NormPlacement,
  OuterPart,
  OuterScaling,
  Rope,
  Routing,
} from "@lopper/core";
import type { ConfigReader } from "../config_reader.ts";

/**
 * Where a setting comes from: fixed by the family, or a boolean key of config.json; `absent` is
 * what its absence means, false unless said.
 */
export type Setting = boolean | { readonly key: string; readonly absent?: true };

/**
 * What distinguishes one model family from another, as data: a family that is like another one is
 * written as the difference to it. All are decoders of residual blocks of attention and of MLPs.
 */
export interface Family {
  readonly modelType: string;
  /** How it is written in the names of transformers' classes; null where there are none. */
  readonly className: string | null;
  /** The class that generates with it, where that is not the name with "ForCausalLM" behind. */
  readonly generatingClass?: string;
  /** The blocks of a layer, in the order in which they run. */
  readonly blocks: readonly BlockTemplate[];
  /** What its norms compute. */
  readonly norm: NormKind;
  /** Where the norms of a block are. */
  readonly placement: NormPlacement;
  /** What some of its models have, and others do not; all that is not named none has. */
  readonly has: Readonly<Partial<Record<Trait, Setting>>>;
  /** What norms of queries and keys are taken over. */
  readonly qkNormOver: "head" | "all heads";
  /** Weights outside the blocks, beside embedding and LM head. */
  readonly outer: readonly OuterPart[];
  /** Other models of it have layers that are no attention, and are refused by these. */
  readonly hybrid?: true;
  /**
   * Which key of config.json switches sliding-window attention on, and where: "sliding_window" in
   * all layers, "use_sliding_window" in those that `layer_types` names, else in those from
   * `max_window_layers` on, "layer_types" in those that are named there, else in those that
   * `slides` says.
   */
  readonly slidingWindow: "never" | "sliding_window" | "use_sliding_window" | "layer_types";
  /** Which layers have a window where config.json does not say so. */
  readonly slides?: (layer: number, config: ConfigReader) => boolean;
  /**
   * Layers with a window have a rotary embedding of their own, which no key outside
   * `rope_parameters` scales; where that does not say its base, `key` does, else it is `theta`.
   */
  readonly windowRope?: { readonly key?: string; readonly theta: number };
  /** Which channels are rotated together, as `Rope` has it. */
  readonly pairs?: Rope["pairs"];
  /**
   * Lists in its config.json with an entry for each layer, beside `layer_types`, and what the
   * entries are where there is no list.
   */
  readonly lists?: Readonly<Record<string, (layer: number, config: ConfigReader) => unknown>>;
  /** Keys that have another name in its config.json, or are not in it (null), by the usual one. */
  readonly keys?: Readonly<Record<string, string | null>>;
  /** Keys that some of its config.json have under another name, by the usual one. */
  readonly alsoNamed?: Readonly<Record<string, string>>;
  /** What its config.json says by what it does not have, said with keys. */
  readonly usual?: (config: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;
  /** What keys mean that config.json does not have. */
  readonly defaults: FamilyDefaults;
  /** What an MLP applies where config.json does not say `hidden_act`. */
  readonly activation: string;
  /** What its config.json says in keys of its own. */
  readonly settings?: (config: ConfigReader) => FamilySettings;
  /** The key of the channels of an expert; that of an MLP's unless said. */
  readonly expertWidth?: "moe_intermediate_size";
  /** Which layers have a mixture of experts, where some have an MLP in its place. */
  readonly mixtureLayers?: MixtureLayers;
  /** The difference that a config.json makes; none unless said. */
  readonly variant?: (config: ConfigReader) => Partial<Family>;
  /**
   * What transformers demands of query heads in a plain config: that their number divides the
   * hidden size, or that their channels are as many as it has. Where they do not, our own code is
   * written beside it.
   */
  readonly plainHeads: "any" | "divide" | "fill";
  readonly tensorNames: TensorNames;
  /**
   * Tensors in which its checkpoints hold weights of blocks in another way than one each,
   * `[out, in]`; `tensor` of those weights is then the name under which they are offered.
   */
  readonly packing?: readonly PackedTensor[];
  /** Weights of its checkpoints may be in MXFP4 (`Mxfp4Store`); what is written never is. */
  readonly mxfp4?: true;
  /** Other ways in which checkpoints of it are found; what is written has `packing`. */
  readonly otherPackings?: readonly (readonly PackedTensor[])[];
  /**
   * Parts of its checkpoints that guess further tokens than the next (DeepSeek-V3, arXiv
   * 2412.19437, section 2.2): they are passed over, and what is written has none.
   */
  readonly guesses?: FurtherGuesses;
  /**
   * Weights of blocks that follow from how many values they have where a checkpoint has no tensor
   * of them.
   */
  readonly computed?: Readonly<Record<string, (count: number) => Float32Array>>;
}

/** What guesses further tokens than the next. */
export interface FurtherGuesses {
  /** Of config.json, which counts these parts. */
  readonly key: string;
  /** Which tensors are theirs: those of layers behind the last one, or by their names. */
  readonly tensors: "layers behind" | RegExp;
}

/** A tensor that holds weights of a block, rows of one behind those of another. */
export interface PackedTensor {
  /**
   * Its name in the checkpoint, behind that of the layer; `{e}` stands for the number of an expert
   * where each has one of its own, `{h}` for that of a head.
   */
  readonly tensor: string;
  /** Of blocks of that kind; of all that have one of the weights unless said. */
  readonly kind?: string;
  /** Weights that a model does not have are left out. */
  readonly weights: readonly string[];
  /**
   * The rows of a unit are together: those of its first weight, then those of its second, and so
   * on.
   */
  readonly byUnit?: true;
  /** It is `[in, out]`, where the weights are `[out, in]`. */
  readonly transposed?: true;
  /** It is `[1, n]`, where the weight is `[n]`. */
  readonly row?: true;
  /** The first axis is that of experts, before that of rows. */
  readonly stacked?: true;
}

/** What a model says of itself in keys that few families have. */
export interface FamilySettings {
  readonly activation?: Activation;
  /** Of what each block adds. */
  readonly multiplier?: number;
  /** The MLP reads what attention reads. */
  readonly parallel?: boolean;
  readonly scaling?: OuterScaling;
  /** Of all layers. */
  readonly attention?: Partial<Attention>;
  /** Of the mixtures that its layers have in place of MLPs. */
  readonly experts?: ExpertSettings;
  /** Of one layer, in which it has a window or none. */
  readonly attentionOf?: (layer: number, window: number | null) => Partial<Attention>;
}

/**
 * Which layers of a family have a mixture, where others have an MLP in its place; and how its
 * config.json says so.
 */
export interface MixtureLayers {
  /** Whether a layer has one. */
  has(layer: number, config: ConfigReader): boolean;
  /**
   * The keys that say of each layer whether it has one; null where they cannot say it.
   * @param mixtures layer by layer.
   */
  keys(mixtures: readonly boolean[]): Readonly<Record<string, unknown>> | null;
}

/** Mixtures of experts, alike in all layers but for the number of experts. */
export interface ExpertSettings {
  /** Experts of a layer that says nothing else of itself. */
  readonly count: number;
  /** Inner channels of one of them, in a layer that says nothing else of itself. */
  readonly channels: number;
  /** Inner channels of the MLP that all tokens go through beside them, where there is one. */
  readonly sharedChannels?: number;
  /** Where that is as wide as so many experts, and loses channels with them. */
  readonly sharedExperts?: number;
  readonly routing: Routing;
  /** Groups in which experts lie, equally many in each; one unless said. */
  readonly groups?: number;
  readonly gating?: Gating;
}

/** A block as a family has it, whatever its size. */
export interface BlockTemplate {
  /** What computes it. */
  readonly kind: string;
  /** What a unit of it is. */
  readonly dimension: string;
  /** Channels that are multiplied with those of every earlier position. */
  readonly attended?: Length;
  /** In the order in which they are listed and hashed. */
  readonly weights: Readonly<Record<string, WeightTemplate>>;
}

export interface WeightTemplate {
  /** Its name in the checkpoint, behind that of the layer. */
  readonly tensor: string;
  /** `[out, in]` of a matrix, `[n]` of a bias or a norm. */
  readonly axes: readonly Length[];
  /** It scales hidden states. */
  readonly norm?: true;
  /** It is that of the block before it in its layer. */
  readonly shared?: true;
  /** Its first axis is that of experts, and what is behind it is of one. */
  readonly stacked?: true;
  /** It is there only where the model has that. */
  readonly of?: Trait;
}

/**
 * How long an axis is, by what runs along it. "normed" are those that a norm of queries or keys is
 * taken over.
 */
export type Length =
  | "hidden"
  | "queries"
  | "keys"
  | "channels"
  | "experts"
  | "expertChannels"
  | "sharedChannels"
  | "one"
  | "queryHeads"
  | "normedQueries"
  | "normedKeys";

/** What some models of a family have, and others do not. */
export type Trait =
  | "qkvBias"
  | "outputBias"
  | "mlpBias"
  | "qkNorm"
  | "sinks"
  | "outputGate"
  | "alibi";

/**
 * What absent keys of config.json mean (transformers 5.24, `LlamaConfig` and its like). Sizes of
 * the weights have no default.
 */
export interface FamilyDefaults {
  /** `max_position_embeddings` */
  readonly maxPositions: number;
  /** `rms_norm_eps` */
  readonly rmsNormEps: number;
  /** `tie_word_embeddings` */
  readonly tied: boolean;
  /** `intermediate_size`, as a multiple of the hidden size; null where it has to be there. */
  readonly intermediate: number | null;
  readonly ropeTheta: number;
  /** `partial_rotary_factor`: the share of a head's channels that is rotated. */
  readonly rotated: number;
  /** `num_key_value_heads`; a null there means as many as query heads in every family. */
  readonly kvHeads: number | "heads";
  readonly headDim: number | "hidden/heads";
  /** Tokens of `sliding_window`; only a null there means none. */
  readonly slidingWindow: number | null;
  /** `max_window_layers` */
  readonly maxWindowLayers: number;
}

/** Names in the checkpoint. */
export interface TensorNames {
  readonly embedding: string;
  readonly finalNorm: string;
  readonly finalNormBias?: string;
  readonly positions?: string;
  readonly lmHead: string;
  readonly lmHeadBias?: string;
  /** What the names of a layer's weights begin with; `{l}` stands for its number. */
  readonly layer: string;
  /** Tensors that some exporters add and that hold nothing to learn or prune. */
  readonly ignored: RegExp;
}

/**
 * The checkpoint's name of one weight of a block.
 * @throws {TypeError} when no block of the family has such a weight.
 */
export function blockTensorName(
  { modelType, blocks, tensorNames }: Family,
  { layer, kind }: Pick<Block, "layer" | "kind">,
  weight: string,
): string {
  const template = blocks.find((block) => block.kind === kind)?.weights[weight];
  if (!template) throw new TypeError(`no ${kind} block of ${modelType} has a weight ${weight}`);
  return tensorNames.layer.replace("{l}", String(layer)) + template.tensor;
}
