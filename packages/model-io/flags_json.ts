import type { RunFlags } from "@lopper/core";
import { z } from "zod";

const count = z.int().nonnegative();
const text = z.string().max(100_000);
/** In per cent of something that becomes less. */
const share = z.number().nonnegative().lt(100);
/** A path, or several with their weights. */
const texts = z.union([text, z.array(text).max(1000)]).nullable();

/** The settings of a run as its files have them. Names that options give are for the command line to know. */
export const flagsSchema: z.ZodType<RunFlags> = z.strictObject({
  model: text.nullable(),
  ratio: share,
  targetLatency: z.number().positive().nullable(),
  preset: text,
  distribution: text,
  mlpGroup: count.min(1),
  attentionGroup: count.min(1),
  order: text,
  recover: text,
  swap: text,
  criterion: text,
  search: text,
  fastWithout: text,
  earlierRatios: z.array(share).max(1000),
  calibration: texts,
  calibrationWidth: texts,
  samples: count.min(1),
  widthSamples: count.min(1),
  seqLen: count.min(2),
  seed: count,
  batchTokens: count.min(1),
  bestEffort: z.boolean(),
  uniform: z.boolean(),
  heldOut: text.nullable(),
  maxPplIncrease: z.number().positive().nullable(),
  export: z.strictObject({
    format: text,
    dtype: text.nullable(),
    quantize: text.nullable(),
  }).nullable(),
});
