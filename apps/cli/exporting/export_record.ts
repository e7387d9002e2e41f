import { unseal } from "@lopper/core";
import type { LogitDifference } from "@lopper/exports";
import { z } from "zod";
import type { ExportDType, Quantization, VerifiedBy } from "./export_formats.ts";
import { formatBytes } from "../terminal/format.ts";

/** The last file of an export: a folder with it is whole, and may be replaced. */
export const EXPORT_RECORD = "export.json";

/** What export.json says. */
export interface ExportRecord {
  readonly kind: "lopper-export";
  readonly schema: 1;
  readonly version: string;
  readonly source: { readonly name: string; readonly digest: string };
  readonly format: string;
  readonly dtype: ExportDType | null;
  readonly quantize: Quantization | null;
  /** How it is laid out, where that is not the plain way. */
  readonly layout?: "deci";
  readonly customCode: boolean;
  /** Matrices that stayed F16, since their rows are not whole blocks. */
  readonly unquantised?: readonly string[];
  /** What the format has no place for, a sentence each. */
  readonly notes?: readonly string[];
  readonly files: readonly string[];
  /** Bytes of all files. */
  readonly bytes: number;
  /** Null when it was not asked for. */
  readonly verification: Verification | null;
}

export type Verification = LogitDifference & {
  /** Largest difference that is allowed, or null for any. */
  readonly tolerance: number | null;
  /** Who read the files. */
  readonly by: VerifiedBy;
  /** What computed. */
  readonly engine: string;
};

const LIST = z.array(z.string().max(100_000)).max(1_000_000);
const recordSchema: z.ZodType<ExportRecord> = z.strictObject({
  kind: z.literal("lopper-export"),
  schema: z.literal(1),
  version: z.string().max(100),
  source: z.strictObject({ name: z.string().max(100_000), digest: z.string().max(100) }),
  format: z.string().max(100),
  dtype: z.enum(["fp32", "fp16"]).nullable(),
  quantize: z.enum(["q8", "q4", "q8_0", "q4_0"]).nullable(),
  layout: z.literal("deci").optional(),
  customCode: z.boolean(),
  unquantised: LIST.optional(),
  notes: LIST.optional(),
  files: LIST,
  bytes: z.int().nonnegative(),
  verification: z.strictObject({
    maxAbs: z.number(),
    meanKl: z.number(),
    sameTop: z.number(),
    positions: z.int().nonnegative(),
    tolerance: z.number().nullable(),
    by: z.enum(["lopper", "onnxruntime"]),
    engine: z.string().max(100_000),
  }).nullable(),
});

/** What a sealed record of an export says, exactly as it was written; null where it is anything else. */
export async function exportRecordOf(json: unknown): Promise<ExportRecord | null> {
  const sealed = await unseal(json);
  return recordSchema.safeParse(sealed?.value).data ?? null;
}

/** An export in words. */
export function describeExport(record: ExportRecord, out: string): string {
  const { verification, files, bytes, customCode, unquantised, layout } = record;
  const count = files.length === 1 ? "1 file" : `${files.length} files`;
  const lines = [`  ${count}, ${formatBytes(bytes)}, written to ${out}`];
  if (layout === "deci") {
    lines.push(
      "  in DeciLM's layout: vLLM opens it with --trust-remote-code, for its configuration",
    );
  } else if (customCode) {
    lines.push("  its layers differ: transformers opens it with trust_remote_code=True");
  }
  if (unquantised) {
    lines.push(
      `  fp16 all the same, with rows that are not multiples of 32: ${unquantised.length} of the matrices`,
    );
  }
  lines.push(...(record.notes ?? []).map((note) => `  ${note}`));
  lines.push(verification ? describeVerification(verification) : "  not verified");
  return lines.join("\n");
}

/** Readers, as people know them. */
const READERS: Readonly<Record<VerifiedBy, string>> = {
  lopper: " by Lopper's own reader",
  onnxruntime: " by onnxruntime, which runs the written graph",
};

function describeVerification({ maxAbs, meanKl, sameTop, positions, by, engine }: Verification) {
  return `  verified on ${positions} held-out tokens${READERS[by]} (${engine}): logits differ by ${
    maxAbs.toExponential(1)
  } at most, KL divergence ${meanKl.toExponential(1)}, same top token ${
    (100 * sameTop).toFixed(1)
  } %`;
}
