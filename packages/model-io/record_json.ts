import {
  describeIssue,
  parseStrictJson,
  RunFolderError,
  type RunRecord,
  seal,
  unseal,
} from "@lopper/core";
import { z } from "zod";
import { flagsSchema } from "./flags_json.ts";
import { otherForm } from "./settings_json.ts";

/** The form of run.json; another number is another form. */
export const RECORD_SCHEMA = 2;

const count = z.int().nonnegative();
/** What is not finite is written as null, since JSON has no word for it. */
const lossy = z.number().or(z.null().transform(() => NaN));
const digest = z.string().max(100);
const text = z.string().max(100_000);
/** What a list may hold at most: more layers, steps or units than any model has; a file of more is damaged. */
const MOST = 1_000_000;
const denseAndPruned = z.strictObject({ dense: lossy, pruned: lossy });

const layers = z.array(z.strictObject({
  attention: z.strictObject({ queryHeads: count, kvHeads: count }).nullable(),
  mlp: z.strictObject({ intermediateSize: count }).nullable(),
})).max(MOST);
const frontier = z.array(z.strictObject({
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

const swapped = z.strictObject({
  kind: z.enum(["attention", "mlp"]),
  layer: count,
  width: count,
  units: z.array(count).max(MOST),
});
const swaps = z.array(z.strictObject({
  steps: count,
  tried: count,
  kept: z.array(z.strictObject({
    restored: swapped,
    removed: swapped.nullable(),
    ratio: z.number(),
    parameters: count,
    perplexity: lossy,
    heldOut: z.number().nullable(),
  })).max(MOST),
  perplexity: z.strictObject({ before: z.number().nullable(), after: z.number().nullable() }),
  blockTokens: z.number(),
})).max(MOST);

const textDamage = z.strictObject({
  passages: z.array(z.strictObject({ dense: lossy, pruned: lossy, worst: text.optional() }))
    .max(MOST),
  tokens: z.array(z.strictObject({ kind: text, count, dense: lossy, pruned: lossy })).max(MOST),
});

const recordSchema: z.ZodType<RunRecord> = z.strictObject({
  kind: z.literal("lopper-run"),
  schema: z.literal(RECORD_SCHEMA),
  version: z.string().max(100),
  modelDigest: digest,
  prunedDigest: digest,
  calibrationDigest: z.strictObject({ block: digest, width: digest }),
  heldOutDigest: digest,
  flags: flagsSchema,
  plan: text.nullable(),
  planDigest: digest,
  journal: digest.nullable(),
  backend: z.strictObject({ name: text, engine: text, threads: count }),
  ratio: z.number(),
  parameters: denseAndPruned,
  bytes: denseAndPruned,
  latency: z.strictObject({
    target: z.number(),
    pastTokens: count,
    predicted: denseAndPruned,
    measured: denseAndPruned,
  }).nullable(),
  quantised: z.record(z.string(), z.number()).nullable(),
  perplexity: z.strictObject({ calibration: denseAndPruned, heldOut: denseAndPruned }),
  blockTokens: z.strictObject({
    spent: z.number(),
    full: z.number(),
    beside: z.strictObject({
      predictions: z.number(),
      orders: z.number(),
      swaps: z.number(),
      repairs: z.number(),
    }).nullable(),
  }),
  wallSeconds: z.number(),
  files: z.array(text).max(MOST).optional(),
  steps: count,
  frontier: frontier,
  swaps: swaps,
  stopped: z.strictObject({
    limit: z.number(),
    on: z.enum(["held-out", "calibration"]),
    increase: z.number().nullable(),
    ratio: z.number(),
  }).nullable(),
  orders: z.array(z.strictObject({
    units: z.enum(["channels", "kvGroups"]),
    order: text,
    tried: z.record(z.string(), z.number().nullable()),
  })).max(MOST),
  recovery: z.strictObject({
    tried: count,
    helped: count,
    kept: count,
    perplexity: z.strictObject({ before: z.number().nullable(), after: z.number().nullable() }),
  }).nullable(),
  layers: z.strictObject({ dense: layers, pruned: layers }),
  sample: z.strictObject({ prompt: text, dense: text, pruned: text }),
  heldOutSamples: z.array(z.strictObject({
    prompt: text,
    original: text,
    dense: text,
    pruned: text,
  })).max(100),
  damage: z.strictObject({ calibration: textDamage, heldOut: textDamage }).nullable(),
});

/**
 * Reads the text of a run.json.
 * @throws {RunFolderError} naming the file and what is wrong in it.
 */
export async function parseRunRecord(text: string, file: string): Promise<RunRecord> {
  let json: unknown;
  try {
    json = parseStrictJson(text);
  } catch (error) {
    throw new RunFolderError(
      `${file} is damaged: ${(error as Error).message}`,
      { cause: error },
    );
  }
  const { kind, schema } = (json ?? {}) as Record<string, unknown>;
  if (kind !== "lopper-run") {
    throw new RunFolderError(`${file} is not the record of a run of Lopper`);
  }
  if (schema !== RECORD_SCHEMA) {
    throw new RunFolderError(
      `${file} is of another version of Lopper (${otherForm(schema, RECORD_SCHEMA)}), whose runs ` +
        "this one does not read; the model beside it is good as it is, and so is its lopper_plan.json",
    );
  }
  const sealed = await unseal(json);
  if (!sealed) {
    throw new RunFolderError(
      `${file} was changed since Lopper wrote it: its checksum does not fit`,
    );
  }
  const result = recordSchema.safeParse(sealed.value);
  if (result.success) return result.data;
  throw new RunFolderError(`${file}: ${describeIssue(result.error.issues)}`);
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

/** The JSON text of a record, with a checksum, as people read it: long lists have one line an entry. */
export async function runRecordToJson(record: RunRecord): Promise<string> {
  return indented(await seal(record), "", "") + "\n";
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
