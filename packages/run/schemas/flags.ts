import { count } from "@lopper/search";
import { z } from "zod";

/** A text of a file: a path, a name, a passage. */
export const text = z.string().max(100_000);
/** In per cent of something that becomes less. */
const share = z.number().nonnegative().lt(100);
/** A path, or several with their weights. */
const texts = z.union([text, z.array(text).max(1000).readonly()]).nullable();

/** An export, in the words of the command line. */
const exportFlags = z.strictObject({
  format: text,
  dtype: text.nullable(),
  quantize: text.nullable(),
});
export type ExportFlags = Readonly<z.infer<typeof exportFlags>>;

/** The settings of a run as its files have them. Names that options give are for the command line to know. */
export const flagsSchema = z.strictObject({
  /** Full path, or null for the embedded model. */
  model: text.nullable(),
  /** What is to go, in per cent: of the parameters, or with `targetLatency` of the time that a token is predicted to take. */
  ratio: share,
  /** Milliseconds that a token may take in the end, or null where parameters are to go. */
  targetLatency: z.number().positive().nullable(),
  preset: text,
  distribution: text,
  mlpGroup: count.min(1),
  attentionGroup: count.min(1),
  /** How units inside blocks are put in order: "l1", as published, a metric of activations, "compensated", or "auto". */
  order: text,
  /** What is repaired when the search is over: "none", or "auto", all that helps on text kept aside. */
  recover: text,
  /** What is exchanged when a target is reached: "none", or "auto", single blocks and groups as long as it helps. */
  swap: text,
  /**
   * What candidates and repairs are judged by: "perplexity" of the text, as published, or "kl", the divergence of their
   * predictions from the dense model's.
   */
  criterion: text,
  search: text,
  /** Techniques of the fast search that are switched off, comma-separated. */
  fastWithout: text,
  /** Ratios in per cent that the run had reached before it was extended, ascending. */
  earlierRatios: z.array(share).max(1000).readonly(),
  /** Path of the calibration text, several as `PATH=WEIGHT`, or null for the embedded one. */
  calibration: texts,
  /** The same for channels and heads; null where it is that for blocks. */
  calibrationWidth: texts,
  samples: count.min(1),
  widthSamples: count.min(1),
  seqLen: count.min(2),
  seed: count,
  /** Tokens that run through a block together at most; fewer than usual where memory was short. */
  batchTokens: count.min(1),
  bestEffort: z.boolean(),
  /** All layers stay alike. */
  uniform: z.boolean(),
  /** Full path of text to measure every step on, or null for none. */
  heldOut: text.nullable(),
  /** Rise of the perplexity over the dense model's, in per cent, at which the search ends; null for none. */
  maxPplIncrease: z.number().positive().nullable(),
  /** What the result is exported as when the run ends, or null. It decides nothing. */
  export: exportFlags.nullable(),
});
export type RunFlags = Readonly<z.infer<typeof flagsSchema>>;
