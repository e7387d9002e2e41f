import { sha256 } from "./digest.ts";

/**
 * A JSON object that says by a checksum whether anything in it was changed. It is no secret: it
 * tells accidents, not forgeries.
 */
export type WithChecksum<T> = T & { readonly checksum: string };

/** Hexadecimal digits of a checksum. */
const DIGITS = 16;

/**
 * Puts a checksum of everything in `value` at its end.
 * @param value what JSON can say of it counts: what is undefined is left out, and a number that is
 *   not finite is null.
 * @param before checksum of what comes before it, where objects follow one another: then each also
 *   says what it follows.
 */
export async function seal<T extends object>(value: T, before = ""): Promise<WithChecksum<T>> {
  return { ...value, checksum: await checksumOf(JSON.stringify(value), before) };
}

/**
 * What was sealed, without its checksum; null where that does not fit. White space between its
 * parts does not count.
 */
export async function unseal(
  json: unknown,
  before = "",
): Promise<{ readonly value: Record<string, unknown>; readonly checksum: string } | null> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return null;
  const { checksum, ...value } = json as Record<string, unknown>;
  return typeof checksum === "string" &&
      checksum === await checksumOf(JSON.stringify(value), before)
    ? { value, checksum }
    : null;
}

/** What stands between the last brace of an object and the rest of it, where a line is sealed. */
const LINE_END = /,"checksum":"([0-9a-f]+)"\}$/;

/**
 * The same for a file of lines that only grows: each says by its checksum what it is, and what line
 * it follows.
 * @param text of a JSON object that is not empty.
 * @param before checksum of the line before, or what the first line is to be bound to.
 */
export async function sealLine(
  text: string,
  before: string,
): Promise<{ readonly line: string; readonly checksum: string }> {
  const checksum = await checksumOf(text, before);
  return { line: `${text.slice(0, -1)},"checksum":"${checksum}"}`, checksum };
}

/**
 * The text that was sealed as a line, and its checksum; null where that does not fit, be it by a
 * single character.
 */
export async function unsealLine(
  line: string,
  before: string,
): Promise<{ readonly text: string; readonly checksum: string } | null> {
  const found = LINE_END.exec(line);
  if (!found) return null;
  const text = `${line.slice(0, found.index)}}`;
  const checksum = await checksumOf(text, before);
  return found[1] === checksum ? { text, checksum } : null;
}

async function checksumOf(text: string, before: string): Promise<string> {
  const digest = await sha256(new TextEncoder().encode(`${before}\n${text}`));
  return digest.slice("sha256:".length, "sha256:".length + DIGITS);
}
