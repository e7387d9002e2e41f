import type { Architecture, Gating, Routing } from "@lopper/core";

/**
 * An architecture of llama.cpp as data: how its files and the Hugging Face folders of the same
 * models say the same, in both directions. What it does not name is as in a file of "llama".
 */
export interface GgufArchitecture {
  /** Its name in GGUF, with which its settings' keys begin. */
  readonly name: string;
  /** What its models are, as config.json names them. */
  readonly modelType: string;
  /** What they are where some layers have a window; the same unless said. */
  readonly windowed?: string;
  /** What they are where no YaRN scales their frequencies; the same unless said. */
  readonly unscaled?: string;
  /** What they are where q, k and v have biases and their outputs have none. */
  readonly biased?: string;
  /** Other families whose models are written so, and read as the first. */
  readonly also?: readonly string[];
  /** What they are where an MLP for all tokens stands beside the experts; the same unless said. */
  readonly shared?: string;
  /**
   * Which channels of a head it rotates together. Where it takes neighbours and the family halves,
   * rows of q and k are interleaved in the file.
   */
  readonly pairs: "neighbours" | "halves";
  /** As config.json names it; SiLU unless said. */
  readonly activation?: string;
  /** Its MLPs read what attention reads: all of them, or those of some models; none unless said. */
  readonly parallel?: true | "either";
  /**
   * What its blocks may have beside those of a Llama, where it is one whose layers may differ, and
   * what it wants of them.
   */
  readonly beside?: "biases" | "norms of heads";
  /**
   * How its mixtures of experts weight those that are chosen, but for their number and for what
   * keys of its own say.
   */
  readonly routing?: Omit<Routing, "topK" | "minSum">;
  /** How gate and up of its experts go together where that is not by a product alone. */
  readonly gating?: Gating;
  /** It rotates the first channels of a head only, as many as the file says. */
  readonly partialRotation?: true;
  /** How it scales rotary frequencies beside all alike, or as YaRN does by default. */
  readonly rope?: GgufRope;
  /** Numbers of heads and widths are lists, one entry a layer. */
  readonly byLayer?: true;
  /** Layers may lack attention, or both of their blocks: their numbers are 0. */
  readonly sparse?: true;
  /** It computes only heads that together have as many channels as the hidden states. */
  readonly fullHeads?: true;
  /** It computes only models of so many layers. */
  readonly layers?: number;
  /**
   * Layers of those of its models whose scores fall by distance (ALiBi), by as much as follows from
   * the number of heads; none does unless said.
   */
  readonly slopedLayers?: number;
  /** Its heads may have biases beside norms. */
  readonly normedBiases?: true;
  /** Norms of queries and keys are behind the rotation. */
  readonly normAfterRotation?: true;
  /** It has no biases but those of q, k and v. */
  readonly unbiased?: true;
  /** It computes only heads that have a KV head each. */
  readonly ownKeys?: true;
  /**
   * The LM head: always the embedding, always a tensor of its own, or whichever of both is there,
   * unless said.
   */
  readonly head?: "embedding" | "own";
  /** Names of a layer's tensors that differ from the usual ones, by kind of block and weight. */
  readonly tensors?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /**
   * Tensors whose rows are those of several weights, one behind the other: which, by kind of block
   * and by the name before ".weight" or ".bias".
   */
  readonly packed?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  /** What it says in keys beside the usual ones. */
  readonly settings?: readonly GgufSetting[];
  /** Where its layers have a window; none has one unless said. */
  readonly windows?: GgufWindows;
  /**
   * Whether a layer, with a window or without, of a model some of whose layers have one or not,
   * rotates nothing; none does unless said.
   */
  readonly unrotated?: (layer: number, slides: boolean, windowed: boolean) => boolean;
  /** What rows of the embedding are multiplied with where no key says so; 1 unless said. */
  readonly embeds?: (facts: GgufFacts) => number;
  /** What it computes with and no key says, as config.json says it. */
  readonly implied?: (
    facts: GgufFacts,
    has: (tensor: string) => boolean,
  ) => Readonly<Record<string, unknown>>;
  /** What scores are multiplied with where no key says so; 1 / √(head channels) unless said. */
  readonly scale?: (facts: GgufFacts) => number;
}

/** A number, or a flag, that both sides have under a key of their own. */
export interface GgufSetting {
  /** Behind the name of the architecture. */
  readonly key: string;
  /** In config.json; undefined where others say it there. */
  readonly config?: string;
  /** What a model says; undefined for nothing. */
  readonly of: (architecture: Architecture) => number | boolean | undefined;
  /** What a file means that does not say it. */
  readonly absent?: number;
  /** All that a file may say. */
  readonly only?: number | boolean;
  /** It is a whole number. */
  readonly count?: true;
}

/** How an architecture scales rotary frequencies. */
export interface GgufRope {
  /** It divides them by what a tensor says, as Llama 3 does. */
  readonly divisors?: true;
  /** It has divisors for texts of either length in tensors (LongRoPE). */
  readonly factors?: true;
  /** It reads between which turns YaRN blends; between 32 and 1 unless said. */
  readonly betas?: true;
  /** False where YaRN's band need not end at whole pairs in its models, which no key says. */
  readonly truncates?: false;
  /** Its queries grow with their positions beyond the length from which it was scaled. */
  readonly grows?: true;
}

/** Which layers of an architecture have a window. */
export interface GgufWindows {
  /**
   * Where the file does not say which: every layer, but for the last of so many. "all" stands for
   * every layer, and is all that such a file can say.
   */
  readonly period: number | "all";
  /** Layers of the only models that have some. */
  readonly layers?: number;
  /** Layers with a window are never scaled by what the file says of rotary frequencies. */
  readonly unscaled?: true;
  /** Tokens of the window where the file does not say it; then no layer has one unless said. */
  readonly absent?: number;
  /**
   * The rotary base of layers with a window where the file does not say it; that of the others
   * unless said.
   */
  readonly theta?: number;
}

/** What is known of a model before its architecture's own settings are read. */
export interface GgufFacts {
  readonly layers: number;
  readonly hiddenSize: number;
  readonly headDim: number;
  /** Of the first layer. */
  readonly queryHeads: number;
}
