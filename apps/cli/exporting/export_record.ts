import { unseal } from "@lopper/core";
import type { VerifiedBy } from "@lopper/exports";
import {
  type ExportRecord,
  exportRecordSchema,
  type Verification,
} from "./export_record_schema.ts";
import { formatBytes } from "../terminal/format.ts";

/** The last file of an export: a folder with it is whole, and may be replaced. */
export const EXPORT_RECORD = "export.json";

/** What a sealed record of an export says, exactly as it was written; null where it is anything else. */
export async function exportRecordOf(json: unknown): Promise<ExportRecord | null> {
  const sealed = await unseal(json);
  return exportRecordSchema.safeParse(sealed?.value).data ?? null;
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
