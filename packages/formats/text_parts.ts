import type { ByteSource } from "./byte_source.ts";
import { checkBytes, decodePart, type Refuse } from "./decode_text.ts";

/** Bytes that are read together: enough that reading is quick, and few beside a model. */
const CHUNK_BYTES = 2 ** 18;
/** Milliseconds after which whoever waits is let in. */
const BREATH_AFTER = 100;

/** Lets in whoever waits, such as Ctrl-C, while a long text is read. */
export async function breath(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

/** The bytes of a source from an offset on, in order. */
export async function* bytesOf(source: ByteSource, offset = 0): AsyncGenerator<Uint8Array> {
  let breathed = performance.now();
  for (let at = offset; at < source.size; at += CHUNK_BYTES) {
    yield await source.read(at, Math.min(CHUNK_BYTES, source.size - at));
    if (performance.now() - breathed < BREATH_AFTER) continue;
    await breath();
    breathed = performance.now();
  }
}

/** A stretch of a text, and where it begins, in bytes. */
export interface TextPart {
  readonly offset: number;
  readonly text: string;
}

export interface PartOptions {
  /** Offset of the first of the bytes. */
  readonly offset?: number;
  /**
   * The end of the last whole part in bytes, just behind it, or 0 where there is none.
   * @param searched so many of the bytes were asked for before, and had none.
   */
  readonly end: (bytes: Uint8Array, searched: number) => number;
  /** Bytes of a part that has no end yet. */
  readonly maxBytes: number;
  readonly refuse: Refuse;
  /** What to say of a part that is longer, which begins at an offset. */
  readonly tooLong: (offset: number) => string;
}

/**
 * A text in UTF-8 of any length, in stretches that end where `end` says, and at its end; a byte
 * order mark is no part of it.
 * @throws what `refuse` makes of bytes that are not UTF-8, and of a stretch without an end.
 */
export async function* textParts(
  chunks: AsyncIterable<Uint8Array>,
  { offset = 0, end, maxBytes, refuse, tooLong }: PartOptions,
): AsyncGenerator<TextPart> {
  let held = new Uint8Array(0);
  let at = offset;
  for await (const chunk of chunks) {
    checkBytes(chunk, at + held.byteLength, refuse);
    const searched = held.byteLength;
    held = joined(held, chunk);
    const length = end(held, searched);
    if (length > 0) {
      yield { offset: at, text: decodePart(held.subarray(0, length), at, refuse) };
      at += length;
      held = held.slice(length);
    }
    if (held.byteLength > maxBytes) throw refuse(tooLong(at));
  }
  if (held.byteLength > 0) yield { offset: at, text: decodePart(held, at, refuse) };
}

/** For `PartOptions.end`: parts are whole lines. */
export function endOfLines(bytes: Uint8Array, searched: number): number {
  const last = bytes.subarray(searched).lastIndexOf(NEWLINE);
  return last < 0 ? 0 : searched + last + 1;
}

const [TAB, NEWLINE, RETURN, SPACE] = [9, 10, 13, 32];

/** For `PartOptions.end`: parts end with a blank line, of nothing but spaces and tabs. */
export function endOfParagraphs(bytes: Uint8Array, searched: number): number {
  // The line that was not whole then may be blank now.
  const from = bytes.subarray(0, searched).lastIndexOf(NEWLINE);
  for (let end = bytes.lastIndexOf(NEWLINE); end > from;) {
    let last = end - 1;
    if (bytes[last] === RETURN) last -= 1;
    while (bytes[last] === SPACE || bytes[last] === TAB) last -= 1;
    if (bytes[last] === NEWLINE) return end + 1;
    end = last < 0 ? -1 : bytes.lastIndexOf(NEWLINE, last);
  }
  return 0;
}

function joined(a: Uint8Array<ArrayBuffer>, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.byteLength + b.byteLength);
  both.set(a);
  both.set(b, a.byteLength);
  return both;
}
