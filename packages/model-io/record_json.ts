import { RunFolderError, type RunRecord } from "@lopper/core";
import { z } from "zod";

const count = z.int().nonnegative();
/** What is not finite is written as null, since JSON has no word for it. */
const lossy = z.number().or(z.null().transform(() => NaN));
const digest = z.string().max(100);
const text = z.string().max(100_000);
/** What a list may hold at most: more layers, steps or units than any model has; a file of more is damaged. */
const MOST = 1_000_000;
const denseAndPruned = z.looseObject({ dense: lossy, pruned: lossy });

const layers = z.array(z.looseObject({
  attention: z.looseObject({ queryHeads: count, kvHeads: count }).nullable(),
  mlp: z.looseObject({ intermediateSize: count }).nullable(),
})).max(MOST);
const frontier = z.array(z.looseObject({
  stage: z.string().max(100),
  kind: z.enum([
    "attention",
    "mlp",
    "mlp_channels",
    "attention_heads",
    "layer",
    "all_mlp_channels",
    "all_attention_heads",
  ]),
  layer: count,
  width: count,
  removed: z.array(count).max(MOST),
  removedByLayer: z.array(z.array(count).max(MOST)).max(MOST).optional(),
  ratio: z.number(),
  latency: z.number().optional(),
  parameters: count,
  perplexity: lossy,
  heldOut: z.number().nullable(),
})).max(MOST);

const swapped = z.looseObject({
  kind: z.enum(["attention", "mlp"]),
  layer: count,
  width: count,
  units: z.array(count).max(MOST),
});
const swaps = z.array(z.looseObject({
  steps: count,
  tried: count,
  kept: z.array(z.looseObject({
    restored: swapped,
    removed: swapped.nullable(),
    ratio: z.number(),
    parameters: count,
    perplexity: lossy,
    heldOut: z.number().nullable(),
  })).max(MOST),
  perplexity: z.looseObject({ before: z.number().nullable(), after: z.number().nullable() }),
  blockTokens: z.number(),
})).max(MOST);

const textDamage = z.looseObject({
  passages: z.array(z.looseObject({ dense: lossy, pruned: lossy, worst: text.optional() }))
    .max(MOST),
  tokens: z.array(z.looseObject({ kind: text, count, dense: lossy, pruned: lossy })).max(MOST),
});

/** Fields that are added later are kept, and those that earlier versions did not write have their defaults. */
/** A path, or several with their weights. */
const textParts = z.union([text, z.array(text).max(MOST)]);

const recordSchema = z.looseObject({
  kind: z.literal("lopper-run"),
  schema: z.literal(1),
  version: z.string().max(100),
  modelDigest: digest,
  prunedDigest: digest,
  calibrationDigest: z.looseObject({ block: digest, width: digest }),
  heldOutDigest: digest,
  flags: z.looseObject({
    model: text.nullable(),
    ratio: z.number(),
    targetLatency: z.number().nullable().default(null),
    preset: text,
    distribution: text,
    mlpGroup: count,
    attentionGroup: count,
    criterion: text.default("perplexity"),
    search: text,
    order: text.default("l1"),
    recover: text.default("none"),
    swap: text.default("none"),
    fastWithout: text,
    earlierRatios: z.array(z.number()).max(MOST),
    calibration: textParts.nullable(),
    calibrationWidth: textParts.nullable(),
    samples: count,
    widthSamples: count,
    seqLen: count,
    seed: count,
    batchTokens: count,
    bestEffort: z.boolean(),
    uniform: z.boolean().default(false),
    heldOut: text.nullable().default(null),
    maxPplIncrease: z.number().nullable().default(null),
    export: z.looseObject({ format: text, dtype: text.nullable(), quantize: text.nullable() })
      .nullable().default(null),
  }),
  plan: text.nullable(),
  backend: z.looseObject({ name: text, engine: text, threads: count }),
  ratio: z.number(),
  parameters: denseAndPruned,
  bytes: denseAndPruned,
  latency: z.looseObject({
    target: z.number(),
    pastTokens: count,
    predicted: denseAndPruned,
    measured: denseAndPruned,
  }).nullable().default(null),
  quantised: z.record(z.string(), z.number()).nullable().default(null),
  perplexity: z.looseObject({ calibration: denseAndPruned, heldOut: denseAndPruned }),
  blockTokens: z.looseObject({
    spent: z.number(),
    full: z.number(),
    beside: z.looseObject({
      predictions: z.number().default(0),
      orders: z.number(),
      swaps: z.number(),
      repairs: z.number(),
    }).nullable().default(null),
  }),
  wallSeconds: z.number(),
  files: z.array(text).max(MOST).optional(),
  steps: count,
  frontier: frontier.default([]),
  swaps: swaps.default([]),
  stopped: z.looseObject({
    limit: z.number(),
    on: z.enum(["held-out", "calibration"]),
    increase: z.number().nullable(),
    ratio: z.number(),
  }).nullable().default(null),
  orders: z.array(z.looseObject({
    units: z.enum(["channels", "kvGroups"]),
    order: text,
    tried: z.record(z.string(), z.number().nullable()),
  })).max(MOST).default([]),
  recovery: z.looseObject({
    tried: count,
    helped: count,
    kept: count,
    perplexity: z.looseObject({ before: z.number().nullable(), after: z.number().nullable() }),
  }).nullable().default(null),
  layers: z.looseObject({ dense: layers, pruned: layers }).default({ dense: [], pruned: [] }),
  sample: z.looseObject({ prompt: text, dense: text, pruned: text })
    .default({ prompt: "", dense: "", pruned: "" }),
  heldOutSamples: z.array(z.looseObject({
    prompt: text,
    original: text,
    dense: text,
    pruned: text,
  })).max(100).default([]),
  damage: z.looseObject({ calibration: textDamage, heldOut: textDamage }).nullable().default(null),
});

/**
 * Reads the text of a run.json.
 * @throws {RunFolderError} naming the file and what is wrong in it.
 */
export function parseRunRecord(text: string, file: string): RunRecord {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new RunFolderError(
      `${file} is damaged: it is not JSON (${(error as Error).message})`,
      { cause: error },
    );
  }
  const result = recordSchema.safeParse(json);
  if (result.success) return result.data as unknown as RunRecord;
  if ((json as { kind?: unknown } | null)?.kind !== "lopper-run") {
    throw new RunFolderError(`${file} is not the record of a run of Lopper`);
  }
  const { path, message } = result.error.issues[0];
  throw new RunFolderError(`${file}: at ${path.join(".")}: ${message}`);
}

/** Lists with a line for each of their entries, which would fill a screen each otherwise. */
const ONE_LINE_EACH = new Set([
  "frontier",
  "swaps",
  "dense",
  "pruned",
  "tokens",
  "passages",
  "heldOutSamples",
]);

/** The JSON text of a record as people read it: long lists have one line an entry. */
export function runRecordToJson(record: RunRecord): string {
  return indented(record, "", "") + "\n";
}

function indented(value: unknown, key: string, indent: string): string {
  const deeper = indent + "  ";
  if (Array.isArray(value)) {
    if (value.length === 0 || !ONE_LINE_EACH.has(key)) return JSON.stringify(value);
    const lines = value.map((entry) => deeper + JSON.stringify(entry));
    return `[\n${lines.join(",\n")}\n${indent}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const lines = Object.entries(value).filter(([, entry]) => entry !== undefined).map((
    [name, entry],
  ) => `${deeper}${JSON.stringify(name)}: ${indented(entry, name, deeper)}`);
  return lines.length === 0 ? "{}" : `{\n${lines.join(",\n")}\n${indent}}`;
}
