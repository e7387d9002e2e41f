import { parseStrictJson } from "@lopper/core";

/**
 * What a text says in JSON; null, which no schema of a file takes, where it says nothing, or could
 * be read in two ways.
 */
export function jsonOrNull(text: string): unknown {
  try {
    return parseStrictJson(text);
  } catch {
    return null;
  }
}
