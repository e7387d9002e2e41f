import type { Estimate, MetricName } from "@lopper/evaluation";
import type { LayersBeforeAndAfter } from "./layers.ts";
import type { CardMetadata } from "./source_metadata.ts";

interface DenseAndPruned {
  readonly dense: number;
  readonly pruned: number;
}

/** All that a card says. What was not measured is not in it, and not on the card. */
export interface CardFacts {
  /** The model that was pruned. */
  readonly source: CardSource;
  /** In per cent. */
  readonly ratio: number;
  readonly sizes: { readonly parameters: DenseAndPruned; readonly bytes: DenseAndPruned };
  readonly layers: LayersBeforeAndAfter;
  readonly texts: CardTexts;
  readonly method: CardMethod;
  readonly readers: CardReaders;
  /** SHA-256 of what went in and came out, by what it is. */
  readonly digests: Readonly<Record<string, string>>;
  /** Words of the command lines that make the same, in their order. */
  readonly commands: readonly (readonly string[])[];
  /**
   * How it compares with the dense model on tasks and other texts; null where nobody measured that.
   */
  readonly scores: CardScores | null;
}

export interface CardSource {
  /** What people call it. */
  readonly title: string;
  /** Its name on the hub; null where it is not known to lie there. */
  readonly id: string | null;
  /** Its commit there, if that is known. */
  readonly revision: string | null;
  /** What its own card says; null where there is none. */
  readonly metadata: CardMetadata | null;
  /** Files with the terms of its use, which lie beside the card. */
  readonly terms: readonly string[];
}

/**
 * Text that decided, and text that did not. Perplexities are not finite where activations
 * overflowed.
 */
export interface CardTexts {
  readonly calibration: {
    readonly name: string;
    readonly samples: number;
    /** Tokens of a sequence. */
    readonly tokens: number;
    readonly seed: number;
    readonly perplexity: DenseAndPruned;
  };
  readonly heldOut: {
    readonly name: string;
    /** Tokens of a sequence. */
    readonly tokens: number;
    readonly perplexity: DenseAndPruned;
    /** Of several texts, each. */
    readonly texts: readonly { readonly name: string; readonly perplexity: DenseAndPruned }[];
  };
}

/** How it was made. */
export interface CardMethod {
  /** Of Lopper. */
  readonly version: string;
  /** Of the search; null where a plan was applied. */
  readonly steps: number | null;
  /** What candidates were judged by, in words. */
  readonly criterion: string;
  /** All layers were kept alike. */
  readonly uniform: boolean;
  /** Output projections that were fitted anew, of those tried; null where none was tried. */
  readonly refitted: { readonly kept: number; readonly tried: number } | null;
  /** Weights of the source were quantised, and are F16 here. */
  readonly dequantised: string | null;
  /**
   * Milliseconds of a generated token on the machine that pruned; null where that was not the
   * target.
   */
  readonly milliseconds: DenseAndPruned | null;
}

/** Who opens the folder, and what it can be exported as. */
export interface CardReaders {
  /** `model_type` of its family, or of the whole. */
  readonly family: string;
  /** transformers has to run the code beside the weights. */
  readonly customCode: boolean;
  /** It is the text model of a model of images and text, which is in the folder as a whole. */
  readonly images: boolean;
  readonly gguf: boolean;
  /** DeciLM's layout. */
  readonly deci: boolean;
}

export interface CardScores {
  readonly tasks: readonly ScoredTask[];
  readonly texts: readonly ScoredText[];
}

/** What became of one task. */
export interface ScoredTask {
  readonly task: string;
  /** The measure that the literature gives for it. */
  readonly metric: MetricName;
  /** Questions asked, and those that there are. */
  readonly questions: number;
  readonly available: number;
  readonly dense: number;
  readonly pruned: number;
  /** Pruned minus dense on the same questions; for perplexity the ratio. */
  readonly difference: Estimate;
}

export interface ScoredText {
  readonly text: string;
  readonly tokens: number;
  /** Perplexities. */
  readonly dense: number;
  readonly pruned: number;
  readonly ratio: Estimate | null;
}
