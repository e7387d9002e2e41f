import { formatBytes } from "@lopper/core";
import type { ExportRecord, Verification, VerifiedBy } from "@lopper/exports";

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
