import { type Content, html } from "../html.ts";
import type { ReportRun } from "../report_run.ts";
import type { Section } from "../section.ts";

/** How both models continue the same words. */
export function samplesSection({ record }: ReportRun): Section {
  const { sample, heldOutSamples } = record;
  const content = html`${
    heldOutSamples.length > 0 && html`
      <p>Both models go on from a place of the held-out text, always with the most likely token.</p>
      ${heldOutSamples.map(({ prompt, original, dense, pruned }) =>
        shown(`… ${prompt} …`, [["the text", original], ["dense", dense], ["pruned", pruned]])
      )}
    `
  }${html`
    <p>Both models go on from the same words, drawn at random (temperature 0.7, same seed).</p>
    ${shown(`${sample.prompt} …`, [["dense", sample.dense], ["pruned", sample.pruned]])}
  `}`;
  return { id: "samples", title: "Text before and after", content };
}

function shown(prompt: string, rows: readonly (readonly [string, string])[]): Content {
  return html`
    <div class="sample">
      <p class="prompt" dir="auto">${prompt}</p>
      <dl>${rows.map(([who, text]) =>
        html`
          <dt>${who}</dt>
          <dd dir="auto">… ${text}</dd>
        `
      )}</dl>
    </div>
  `;
}
