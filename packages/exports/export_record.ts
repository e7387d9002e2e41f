import { unseal } from "@lopper/core";
import { z } from "zod";
import { VERIFIERS } from "./formats.ts";
import { EXPORT_DTYPES, QUANTIZATIONS } from "./options.ts";

/** The last file of an export: a folder with it is whole, and may be replaced. */
export const EXPORT_RECORD = "export.json";

const LIST = z.array(z.string().max(100_000)).max(1_000_000);

const verificationSchema = z.strictObject({
  /** As `LogitDifference` has them. */
  maxAbs: z.number(),
  meanKl: z.number(),
  sameTop: z.number(),
  positions: z.int().nonnegative(),
  /** Largest difference that is allowed, or null for any. */
  tolerance: z.number().nullable(),
  /** Who read the files. */
  by: z.enum(VERIFIERS),
  /** What computed. */
  engine: z.string().max(100_000),
}).readonly();

/** What export.json says. */
const exportRecordSchema = z.strictObject({
  kind: z.literal("lopper-export"),
  schema: z.literal(1),
  version: z.string().max(100),
  source: z.strictObject({ name: z.string().max(100_000), digest: z.string().max(100) }).readonly(),
  format: z.string().max(100),
  dtype: z.enum(EXPORT_DTYPES).nullable(),
  quantize: z.enum(QUANTIZATIONS).nullable(),
  /** What matrices were rounded by, where not each value to the nearest: how much of which text. */
  rounding: z.strictObject({
    by: z.literal("gptq"),
    tokens: z.int().positive(),
    digest: z.string().max(100),
  }).readonly().optional(),
  /** How it is laid out, where that is not the plain way. */
  layout: z.literal("deci").optional(),
  customCode: z.boolean(),
  /** Matrices that stayed F16, since their rows are not whole blocks. */
  unquantised: LIST.readonly().optional(),
  /** What the format has no place for, a sentence each. */
  notes: LIST.readonly().optional(),
  files: LIST.readonly(),
  /** Bytes of all files. */
  bytes: z.int().nonnegative(),
  /** Null when it was not asked for. */
  verification: verificationSchema.nullable(),
}).readonly();

export type ExportRecord = z.infer<typeof exportRecordSchema>;
export type Verification = z.infer<typeof verificationSchema>;

/**
 * What a sealed record of an export says, exactly as it was written; null where it is anything
 * else.
 */
export async function exportRecordOf(json: unknown): Promise<ExportRecord | null> {
  const sealed = await unseal(json);
  return exportRecordSchema.safeParse(sealed?.value).data ?? null;
}
