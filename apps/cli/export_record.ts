import type { LogitDifference } from "@lopper/exports";
import type { ExportDType, Quantization } from "./export_formats.ts";
import { formatBytes } from "./format.ts";

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
  readonly engine: string;
};

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

function describeVerification({ maxAbs, meanKl, sameTop, positions, engine }: Verification) {
  return `  verified on ${positions} held-out tokens (${engine}): logits differ by ${
    maxAbs.toExponential(1)
  } at most, KL divergence ${meanKl.toExponential(1)}, same top token ${
    (100 * sameTop).toFixed(1)
  } %`;
}
