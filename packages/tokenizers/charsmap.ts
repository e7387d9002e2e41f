/** Bytes of a grapheme that is looked for as a whole at most. */
const MAX_WHOLE = 5;
const HAS_VALUE = 1 << 8, WIDE = 1 << 9;

/**
 * Replacements of characters as SentencePiece compiles them: the length of a double array in bytes,
 * the array, and texts that each end in a zero byte. They are made as the tokenizers library makes
 * them (0.23, crate spm_precompiled 0.1.4): graphemes of few bytes as a whole, else character by
 * character, by the shortest entry that a text begins with. SentencePiece takes the longest.
 */
export class Charsmap {
  readonly #units: Uint32Array;
  readonly #texts: Uint8Array;
  readonly #graphemes = new Intl.Segmenter("und", { granularity: "grapheme" });
  readonly #known = new Map<string, string | null>();

  /** @throws {RangeError} when the array is longer than all. */
  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const length = bytes.length < 4 ? 0 : view.getUint32(0, true);
    if (length === 0 || length % 4 !== 0 || length > bytes.length - 4) {
      throw new RangeError(`its precompiled_charsmap has ${bytes.length} bytes and is none`);
    }
    this.#units = new Uint32Array(bytes.slice(4, 4 + length).buffer);
    this.#texts = bytes.subarray(4 + length);
  }

  normalize(text: string): string {
    let result = "";
    for (const { segment } of this.#graphemes.segment(text)) {
      const whole = utf8Length(segment) <= MAX_WHOLE ? this.#replaced(segment) : null;
      if (whole !== null) result += whole;
      else for (const character of segment) result += this.#replaced(character) ?? character;
    }
    return result;
  }

  #replaced(text: string): string | null {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const found = this.#find(new TextEncoder().encode(text));
    // As many as there are characters in use.
    if (this.#known.size < 65_536) this.#known.set(text, found);
    return found;
  }

  #find(bytes: Uint8Array): string | null {
    const offset = (unit: number) => (unit >>> 10) << ((unit & WIDE) >>> 6);
    let at = offset(this.#units[0]);
    for (const byte of bytes) {
      if (byte === 0) return null;
      at ^= byte;
      const unit = this.#units[at] ?? 0;
      if ((unit & 0x8000_00ff) !== byte) return null;
      at ^= offset(unit);
      if ((unit & HAS_VALUE) !== 0) return this.#textAt((this.#units[at] ?? 0) & 0x7fff_ffff);
    }
    return null;
  }

  #textAt(start: number): string {
    const end = this.#texts.indexOf(0, start);
    return new TextDecoder("utf-8", { ignoreBOM: true })
      .decode(this.#texts.subarray(start, end < 0 ? this.#texts.length : end));
  }
}

function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
  }
  return bytes;
}
