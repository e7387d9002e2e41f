import { VERSION } from "@lopper/core";
import { Html, html } from "./html.ts";
import { renderSection, type Section } from "./section.ts";
import { STYLE } from "./style.ts";

export interface Page {
  /** Of the window, and the first heading. */
  readonly title: string;
  /** What kind of page it is, above the heading. */
  readonly kind: string;
  readonly summary: Html;
  readonly sections: readonly Section[];
}

/** A whole document that needs nothing but itself. */
export function renderPage({ title, kind, summary, sections }: Page): string {
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="generator" content="Lopper ${VERSION}" />
        <link rel="icon" href="data:," />
        <title>${title}</title>
        <style>${new Html(STYLE)}</style>
      </head>
      <body>
        <header>
          <p class="kind">${kind}</p>
          <h1>${title}</h1>
          <nav aria-label="Contents">
            <ul>${sections.map(({ id, title }) =>
              html`<li><a href="#${id}">${title}</a></li>`
            )}</ul>
          </nav>
        </header>
        <main>
    ${summary}
    ${sections.map(renderSection)}</main>
        <footer>
          <p>Written by Lopper ${VERSION}.</p>
        </footer>
      </body>
    </html>
  `.text;
}
