/**
 * What stands in a file may be meant for the terminal rather than for its reader: sequences that
 * move the cursor or set the window's title, marks that turn the direction of what follows,
 * characters that have no width.
 */

/**
 * Control and format characters, line and paragraph separators, and halves of surrogate pairs. Not
 * the format characters that scripts and emoji are written with (U+200C, U+200D), nor those that
 * one sees (Arabic and Kaithi number signs).
 */
const OBEYED =
  /(?![\u200c\u200d\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * Text of several lines for a terminal: what a terminal would obey, or hide, is shown as an escape
 * such as `\x1b`.
 */
export function printable(text: string): string {
  return text.replace(/\r\n/g, "\n").replace(
    OBEYED,
    (character) => character === "\n" || character === "\t" ? character : escaped(character),
  );
}

/**
 * The same for text of one line: line breaks and tabs in it come from elsewhere and are shown, too.
 */
export function printableLine(text: string): string {
  return text.replace(OBEYED, escaped);
}

/** JSON of the same value in which such characters are escapes, as JSON has them. */
export function printableJson(value: unknown, indent?: number): string {
  // JSON.stringify has escaped those of ASCII in strings; what is left of them is its own layout.
  return JSON.stringify(value, null, indent).replace(
    OBEYED,
    (character) => character === "\n" ? character : jsonEscaped(character),
  );
}

function escaped(character: string): string {
  const code = character.codePointAt(0)!;
  if (character in SHORT) return SHORT[character];
  const digits = code.toString(16);
  if (code < 0x100) return `\\x${digits.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${digits.padStart(4, "0")}` : `\\u{${digits}}`;
}

function jsonEscaped(character: string): string {
  const units = Array.from(character.split(""), (unit) => unit.charCodeAt(0));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}
