import { type Content, type Html, html } from "./html.ts";

export interface TableOptions {
  readonly caption: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly Content[])[];
  /** Columns from the left that hold words instead of figures; the first always does. */
  readonly words?: number;
}

/**
 * A table with a caption; the first cell of every row is its heading. Wide ones scroll by
 * themselves.
 */
export function table({ caption, head, rows, words = 1 }: TableOptions): Html {
  const kind = (i: number) => i < words ? "word" : "figure";
  return html`
    <div class="scroll" role="region" aria-label="${caption}" tabindex="0">
      <table>
        <caption>${caption}</caption>
        <thead>
          <tr>${head.map((cell, i) => html`<th scope="col" class="${kind(i)}">${cell}</th>`)}</tr>
        </thead>
        <tbody>
    ${rows.map((row) =>
      html`
        <tr>${row.map((cell, i) =>
          i === 0
            ? html`<th scope="row" class="word">${cell}</th>`
            : html`<td class="${kind(i)}">${cell}</td>`
        )}</tr>
      `
    )}</tbody>
      </table>
    </div>
  `;
}

/** What a picture shows as a table, folded away until it is wanted. */
export function folded(summary: string, content: Html): Html {
  return html`<details><summary>${summary}</summary>${content}</details>`;
}
