import { type Html, html } from "../html.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";
import { table } from "../table.ts";

/** All that is needed to make the run again, and to see that it is the same. */
export function reproductionSection({ record, commands }: ReportRun): Section {
  const { flags, calibrationDigest } = record;
  const digest = (name: string, value: string) => [name, code(value)];
  const content = html`
    <p>With the same files and Lopper ${record
      .version}, on the same kind of backend, ${commands.length > 1
      ? "these commands make"
      : "this command makes"} ${flags.targetLatency === null || record.plan !== null
      ? "the same result to the last byte"
      : "a run like this one; it times the machine anew, and may decide otherwise where times differ"}.</p>
    <pre tabindex="0" role="region" aria-label="Command"><code>${commands.join("\n")}</code></pre>
    ${table({
      caption: "Digests of what went in and came out",
      head: ["what", "SHA-256"],
      words: 2,
      rows: [
        digest("dense model", record.modelDigest),
        digest("pruned model", record.prunedDigest),
        digest("calibration text for blocks", calibrationDigest.block),
        digest("calibration text for channels and heads", calibrationDigest.width),
        digest("held-out text", record.heldOutDigest),
      ],
    })}<p
      class="note">Texts are digested as token ids, in sequences of ${flags
        .seqLen} tokens, ${flags.bos === "each"
        ? "each of which begins with what the tokenizer puts before a text, if anything (BOS)"
        : "of which the first begins with what the tokenizer puts before a text, if anything (BOS)"}. Batches had ${flags
        .batchTokens} tokens at most. The whole record is in <code>run.json</code>.</p>
  `;
  return { id: "again", title: "Make it again", content };
}

function code(value: string): Html {
  return html`<code class="digest">${value.replace(/^sha256:/, "")}</code>`;
}
