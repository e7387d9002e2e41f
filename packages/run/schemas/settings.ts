import { ENGINE_OPTIONS } from "@lopper/backends";
import { type LatencyCurve, type LatencyTable, ResumeError } from "@lopper/core";
import { z } from "zod";
import { flagsSchema, text } from "./flags.ts";
import { parseSealed, type SealedFile, sealedText } from "./sealed_file.ts";

/** The form of settings.json; another number is another form. */
export const SETTINGS_SCHEMA = 3;

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const milliseconds = z.number().nonnegative();

const curve = z.strictObject({
  kind: z.string().max(100),
  unitWidth: z.int().positive(),
  sizes: z.array(z.int().positive()).min(1).max(1000),
  ms: z.array(milliseconds).min(1).max(1000),
});
/** Sizes ascend, none twice, and each has its time: `interpolation` counts on it. */
const isCurve = ({ sizes, ms }: LatencyCurve) =>
  sizes.length === ms.length && sizes.every((size, i) => i === 0 || size > sizes[i - 1]);
const needed = { message: "sizes need to ascend, with a time for each" };

const latencies: z.ZodType<LatencyTable> = z.strictObject({
  pastTokens: z.int().positive(),
  rounds: z.int().positive(),
  rest: milliseconds,
  curves: z.array(curve.refine(isCurve, needed)).max(1000),
});

const appliedPlan = z.strictObject({
  /** Full path of the plan's file, or of the run's folder. */
  source: text,
  /** In per cent, where a part of that run was asked for. */
  ratio: z.number().positive().lt(100).nullable(),
  /** Of what is to stay. */
  digest,
});

const settingsSchema = z.strictObject({
  kind: z.literal("lopper-run-settings"),
  schema: z.literal(SETTINGS_SCHEMA),
  version: z.string().max(100),
  modelDigest: digest,
  calibrationDigest: z.strictObject({ block: digest, width: digest }),
  /** Of the text that every step is measured on, where there is one. */
  heldOutDigest: digest.optional(),
  /** Of the validation text, which is kept from the search, where there is some. */
  validationDigest: digest.optional(),
  /** Of the text that refits are fitted on, where there are refits. */
  extendedDigest: digest.optional(),
  /** Engine that scored, e.g. "cpu". */
  backend: text.refine(
    (name) => ENGINE_OPTIONS.backend.form.schema.safeParse(name).success,
    "there is no such engine",
  ),
  /**
   * What predicts how long a token takes, where that is what is to be saved: measured once, since
   * it is never the same again.
   */
  latencies: latencies.optional(),
  /** What is applied instead of a search. */
  plan: appliedPlan.optional(),
  /** Command-line settings, with defaults filled in. */
  flags: flagsSchema,
});

/** What a run depended on: with the same values the search decides the same. */
export type RunSettings = Readonly<z.infer<typeof settingsSchema>>;

const SETTINGS_FILE: SealedFile<RunSettings> = {
  kind: "lopper-run-settings",
  form: SETTINGS_SCHEMA,
  schema: settingsSchema,
  called: "the settings of a run of Lopper",
  otherForm: "whose runs this one cannot go on with; start again with --overwrite",
  changed: "; start again with --overwrite",
  Error: ResumeError,
};

/** The JSON text of a run's settings, with a checksum. */
export function settingsToJson(settings: RunSettings): Promise<string> {
  return sealedText(settings);
}

/**
 * Reads the text of a settings.json.
 * @throws {ResumeError} naming the file and what is wrong in it.
 */
export function parseRunSettings(text: string, file: string): Promise<RunSettings> {
  return parseSealed(SETTINGS_FILE, text, file);
}
