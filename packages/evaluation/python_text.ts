/**
 * White space as Python's `str.isspace` has it. JavaScript's has the byte order mark besides, and
 * lacks the separators of ASCII and NEL.
 */
const SPACE =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const LEADING = new RegExp(`^[${SPACE}]+`);
const TRAILING = new RegExp(`[${SPACE}]+$`);

/** Python's `str.strip()`. */
export function pythonStrip(text: string): string {
  return text.replace(LEADING, "").replace(TRAILING, "");
}

/** The white space at the end of a text, as Python's `str.rstrip()` takes it off. */
export function trailingSpace(text: string): string {
  return TRAILING.exec(text)?.[0] ?? "";
}

/**
 * Python's `str.capitalize()`: the first character in upper (title) case, all others in lower case.
 */
export function pythonCapitalize(text: string): string {
  const [first = "", ...rest] = Array.from(text);
  // In title case only the first letter of what an upper-cased character becomes is large, as in
  // "Ss" for "ß".
  const [head = "", ...tail] = Array.from(first.toUpperCase());
  return head + tail.join("").toLowerCase() + rest.join("").toLowerCase();
}
