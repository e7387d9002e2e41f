/** Characters of a token that a message shows: enough to find it. */
const SHOWN = 60;

/** A token, or what stands where one should, as a message shows it. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}
