/** HTML that is safe to put into a page as it is; everything else is escaped on the way in. */
export class Html {
  constructor(readonly text: string) {}
}

/** What a template takes: nothing for null, undefined and false; lists without anything between. */
export type Content =
  | Html
  | string
  | number
  | null
  | undefined
  | false
  | readonly Content[];

/**
 * A template in which every value is escaped, unless it is HTML already. Attributes need double
 * quotes.
 */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(
    parts.reduce((text, part, i) => text + toHtml(values[i - 1]) + part),
  );
}

function toHtml(value: Content): string {
  if (value instanceof Html) return value.text;
  if (value === null || value === undefined || value === false) return "";
  if (typeof value === "string") return escapeHtml(value);
  if (typeof value === "number") return String(value);
  return value.map(toHtml).join("");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Text for content and quoted attributes. Control characters, which no page may hold, and marks
 * that turn the direction of what follows become U+FFFD.
 */
function escapeHtml(text: string): string {
  return text.toWellFormed()
    .replace(/(?![\t\n\r])[\p{Cc}\u202a-\u202e\u2066-\u2069\ufffe\uffff]/gu, "\ufffd")
    .replace(/[&<>"']/g, (character) => ENTITIES[character]);
}
