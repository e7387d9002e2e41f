import { type Html, html } from "./html.ts";

/** A part of the page with a heading of its own. */
export interface Section {
  /** Its place in the address. */
  readonly id: string;
  readonly title: string;
  readonly content: Html;
}

export function renderSection({ id, title, content }: Section): Html {
  return html`
    <section id="${id}" aria-labelledby="${id}-heading">
    <h2 id="${id}-heading">${title}</h2>
    ${content}
    </section>
  `;
}
