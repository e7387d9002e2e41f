import { RunFolderError } from "@lopper/core";
import { denseAndPruned, lossIncreaseSchema } from "@lopper/evaluation";
import { count, list, waySchema } from "@lopper/search";
import { z } from "zod";
import { flagsSchema, text } from "./flags.ts";
import { parseSealed, type SealedFile, sealedText } from "./sealed_file.ts";

/** The form of run.json; another number is another form. */
export const RECORD_SCHEMA = 3;

const digest = z.string().max(100);
/** A perplexity before something and after it; null where it is not finite. */
const beforeAndAfter = z.strictObject({
  before: z.number().nullable(),
  after: z.number().nullable(),
});

/** How long a token takes, in milliseconds: one at a time, after a short text. */
const latencyRecord = z.strictObject({
  /** What was asked for. */
  target: z.number(),
  /** Tokens of that text. */
  pastTokens: count,
  /** From the table that the run began with. */
  predicted: denseAndPruned,
  /** Of whole models when the run ended, each alone and one right after the other. */
  measured: denseAndPruned,
});
export type LatencyRecord = Readonly<z.infer<typeof latencyRecord>>;

/** Where and why a search ended before its target. */
const earlyStop = z.strictObject({
  /** Rise of the perplexity that was allowed, in per cent of the dense model's. */
  limit: z.number(),
  /** Text on which the rise was taken. */
  on: z.enum(["held-out", "calibration"]),
  /** Rise that the next step would have meant, in per cent; null where it is not finite. */
  increase: z.number().nullable(),
  /** Pruning ratio that the next step would have meant, in per cent. */
  ratio: z.number(),
});
export type EarlyStop = Readonly<z.infer<typeof earlyStop>>;

/**
 * The ranking by which a stage narrowed blocks, and perplexities of a trial cut on validation text.
 */
const stageRanking = z.strictObject({
  dimension: text,
  ranking: text,
  tried: z.record(z.string(), z.number().nullable()),
});
export type StageRanking = Readonly<z.infer<typeof stageRanking>>;

/**
 * What a refit tried and kept: output projections, and the scales of experts, that were fitted to
 * the dense model's hidden states anew.
 */
const recovery = z.strictObject({
  tried: count,
  /** Projections that helped one by one. */
  helped: count,
  /**
   * Projections that are in the result: those that helped, or none where all together did not help.
   */
  kept: count,
  /** On calibration text that chose nothing; null where nothing was tried, too. */
  perplexity: beforeAndAfter,
});
export type Recovery = Readonly<z.infer<typeof recovery>>;

/** How the dense model routes the calibration texts, where they are several and experts went. */
const routingByText = z.strictObject({
  /** In the order in which they were given, with the tokens of each that were looked at. */
  texts: list(z.strictObject({ name: text, tokens: count })),
  layers: list(z.strictObject({
    layer: count,
    /** By text: how much of its routing went to experts that are gone, from 0 to 1. */
    removed: list(z.number().nullable()),
    /**
     * By expert: the number of the text that sends it the largest share of its own tokens; null
     * where none sends any.
     */
    most: list(count.nullable()),
  })),
}).refine(({ texts, layers }) =>
  texts.some(({ tokens }) => tokens > 0) && layers.length > 0 &&
  layers.every(({ removed, most }) =>
    removed.length === texts.length && most.every((text) => text === null || text < texts.length)
  ), "each layer needs a share for each text, and texts that are there");
export type RoutingByText = Readonly<z.infer<typeof routingByText>>;

/** How the two models continue the same words. */
const textSample = z.strictObject({ prompt: text, dense: text, pruned: text });
/** The same of words of the held-out text, each time with the most likely token. */
const heldOutSample = textSample.extend({
  /** How the text itself goes on. */
  original: text,
});
export type HeldOutSample = Readonly<z.infer<typeof heldOutSample>>;

const layers = list(z.strictObject({
  attention: z.strictObject({ queryHeads: count, kvHeads: count }).nullable(),
  mlp: z.strictObject({ intermediateSize: count, experts: count.optional() }).nullable(),
}));

const recordSchema = z.strictObject({
  kind: z.literal("lopper-run"),
  schema: z.literal(RECORD_SCHEMA),
  version: z.string().max(100),
  modelDigest: digest,
  /** Digest of the pruned checkpoint. */
  prunedDigest: digest,
  calibrationDigest: z.strictObject({ block: digest, width: digest }),
  /** The digest of the text in `perplexity.heldOut`. */
  heldOutDigest: digest,
  flags: flagsSchema,
  /** The plan file that was applied instead of a search, or null. */
  plan: text.nullable(),
  /** Of the text of lopper_plan.json. */
  planDigest: digest,
  /** Checksum of the last line that the journal had when the run ended; null where it had none. */
  journal: digest.nullable(),
  backend: z.strictObject({ name: text, engine: text, threads: count }),
  /** Published pruning ratio in per cent. */
  ratio: z.number(),
  /** Stored parameters; the norm of a removed block is not stored. */
  parameters: denseAndPruned,
  /** Bytes of the weight tensors. */
  bytes: denseAndPruned,
  /** Null where it was not what was to be saved. */
  latency: latencyRecord.nullable(),
  /** Bytes by type of what was quantised in the source and became F16; null when nothing was. */
  quantised: z.record(z.string(), z.number()).readonly().nullable(),
  perplexity: z.strictObject({
    /** On the block samples. */
    calibration: denseAndPruned,
    /** On text that the search never saw. */
    heldOut: denseAndPruned,
  }),
  blockTokens: z.strictObject({
    /** Of the steps. */
    spent: z.number(),
    /** What full forward passes for the same candidates would have cost. */
    full: z.number(),
    /** Of what came on top. */
    overhead: z.strictObject({
      predictions: z.number(),
      rankings: z.number(),
      swaps: z.number(),
      refits: z.number(),
    }),
  }),
  wallSeconds: z.number(),
  /** Files of the result, the plan included, by their paths from the folder. */
  files: list(text),
  steps: count,
  ...waySchema,
  stopped: earlyStop.nullable(),
  /**
   * The ranking that each stage narrowed blocks in; none where all of them had the published one.
   */
  rankings: list(stageRanking),
  recovery: recovery.nullable(),
  /** Left out where there is one text, or no expert went. */
  routing: routingByText.optional(),
  /** Shapes of the layers before and after. */
  layers: z.strictObject({ dense: layers, pruned: layers }),
  sample: textSample,
  heldOutSamples: z.array(heldOutSample).max(100).readonly(),
  /** What became of the block samples, and of the text that the search never saw. */
  lossIncrease: z.strictObject({ calibration: lossIncreaseSchema, heldOut: lossIncreaseSchema }),
});

/** run.json: everything that a finished run depended on, decided and measured. */
export type RunRecord = Readonly<z.infer<typeof recordSchema>>;

const RECORD_FILE: SealedFile<RunRecord> = {
  kind: "lopper-run",
  form: RECORD_SCHEMA,
  schema: recordSchema,
  called: "the record of a run of Lopper",
  otherForm:
    "whose runs this one does not read; the model beside it is good as it is, and so is its lopper_plan.json",
  changed: "",
  Error: RunFolderError,
};

/**
 * Reads the text of a run.json.
 * @throws {RunFolderError} naming the file and what is wrong in it.
 */
export function parseRunRecord(text: string, file: string): Promise<RunRecord> {
  return parseSealed(RECORD_FILE, text, file);
}

/** The JSON text of a record, with a checksum. */
export function runRecordToJson(record: RunRecord): Promise<string> {
  return sealedText(record);
}
