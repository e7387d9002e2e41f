/** What a text says in JSON; null, which no schema of a file takes, where it says nothing. */
export function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
