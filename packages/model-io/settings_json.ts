import {
  describeIssue,
  type LatencyCurve,
  type LatencyTable,
  parseStrictJson,
  ResumeError,
  type RunSettings,
  seal,
  unseal,
} from "@lopper/core";
import { z } from "zod";
import { flagsSchema } from "./flags_json.ts";

/** The form of settings.json; another number is another form. */
export const SETTINGS_SCHEMA = 2;

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const text = z.string().max(100_000);
const milliseconds = z.number().nonnegative();

const curve = {
  sizes: z.array(z.int().positive()).min(1).max(1000),
  ms: z.array(milliseconds).min(1).max(1000),
};
/** Sizes ascend, none twice, and each has its time: `interpolation` counts on it. */
const isCurve = ({ sizes, ms }: LatencyCurve) =>
  sizes.length === ms.length && sizes.every((size, i) => i === 0 || size > sizes[i - 1]);
const needed = { message: "sizes need to ascend, with a time for each" };

const latencies: z.ZodType<LatencyTable> = z.strictObject({
  pastTokens: z.int().positive(),
  rounds: z.int().positive(),
  rest: milliseconds,
  attention: z.array(
    z.strictObject({ ...curve, groupSize: z.int().positive() }).refine(isCurve, needed),
  ).max(1000),
  mlp: z.strictObject(curve).refine(isCurve, needed),
});

const settingsSchema: z.ZodType<RunSettings> = z.strictObject({
  kind: z.literal("lopper-run-settings"),
  schema: z.literal(SETTINGS_SCHEMA),
  version: z.string().max(100),
  modelDigest: digest,
  calibrationDigest: z.strictObject({ block: digest, width: digest }),
  heldOutDigest: digest.optional(),
  asideDigest: digest.optional(),
  fitDigest: digest.optional(),
  backend: text,
  latencies: latencies.optional(),
  plan: z.strictObject({
    source: text,
    ratio: z.number().positive().lt(100).nullable(),
    digest,
  }).optional(),
  flags: flagsSchema,
});

/** The JSON text of a run's settings, with a checksum. */
export async function settingsToJson(settings: RunSettings): Promise<string> {
  return JSON.stringify(await seal(settings), null, 2) + "\n";
}

/**
 * Reads the text of a settings.json.
 * @throws {ResumeError} naming the file and what is wrong in it.
 */
export async function parseRunSettings(text: string, file: string): Promise<RunSettings> {
  let json: unknown;
  try {
    json = parseStrictJson(text);
  } catch (error) {
    throw new ResumeError(`${file} is damaged: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const { kind, schema } = (json ?? {}) as Record<string, unknown>;
  if (kind !== "lopper-run-settings") {
    throw new ResumeError(`${file} is not the settings of a run of Lopper`);
  }
  if (schema !== SETTINGS_SCHEMA) {
    throw new ResumeError(
      `${file} is of another version of Lopper (${
        otherForm(schema, SETTINGS_SCHEMA)
      }), whose runs this one cannot go on with; start again with --overwrite`,
    );
  }
  const sealed = await unseal(json);
  if (!sealed) {
    throw new ResumeError(
      `${file} was changed since Lopper wrote it: its checksum does not fit; start again with --overwrite`,
    );
  }
  const result = settingsSchema.safeParse(sealed.value);
  if (result.success) return result.data;
  throw new ResumeError(`${file}: ${describeIssue(result.error.issues)}`);
}

/** How the form of a file differs from the one that is read, in words. */
export function otherForm(schema: unknown, needed: number): string {
  return `its form is ${typeof schema === "number" ? schema : "unknown"}, this one reads ${needed}`;
}
