import { html } from "../html.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";

/** How both models continue the same words. Null where the record has none. */
export function samplesSection({ record: { sample } }: ReportRun): Section | null {
  if (sample.prompt === "") return null;
  const content = html`
    <div class="sample">
      <p class="prompt" dir="auto">${sample.prompt} …</p>
      <dl>
        <dt>dense</dt>
        <dd dir="auto">… ${sample.dense}</dd>
        <dt>pruned</dt>
        <dd dir="auto">… ${sample.pruned}</dd>
      </dl>
    </div>
  `;
  return { id: "samples", title: "Text before and after", content };
}
