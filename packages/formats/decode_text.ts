/** Bytes at the start of a text by which its encoding is told. */
const SNIFFED_BYTES = 4096;

/** Says what is wrong with a text. */
export type Refuse = (problem: string, options?: ErrorOptions) => Error;

/**
 * The text of a whole file in UTF-8, without its byte order mark.
 * @throws what `refuse` makes of bytes in another encoding, UTF-16 by its name.
 */
export function decodeText(bytes: Uint8Array, refuse: Refuse): string {
  checkBytes(bytes, 0, refuse);
  return decodePart(bytes, 0, refuse);
}

/**
 * As `decodeText`, of a part that begins and ends between two characters, `offset` bytes into the
 * text.
 */
export function decodePart(bytes: Uint8Array, offset: number, refuse: Refuse): string {
  try {
    // A mark in the middle of a text is a character of it.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: offset > 0 }).decode(bytes);
  } catch (error) {
    // The engine's word for a string that is longer than it makes them.
    if (error instanceof RangeError) {
      throw refuse(`it has ${bytes.byteLength} bytes, more than one text can have`, {
        cause: error,
      });
    }
    throw refuse("not UTF-8 text", { cause: error });
  }
}

/** @throws what `refuse` makes of bytes that no text in UTF-8 has, `offset` bytes into the file. */
export function checkBytes(bytes: Uint8Array, offset: number, refuse: Refuse) {
  const utf16 = offset === 0 && (marksUtf16(bytes) || looksLikeUtf16(bytes));
  if (utf16) {
    throw refuse(
      "it is UTF-16 text and Lopper reads UTF-8; save it as UTF-8 (iconv -f UTF-16 -t UTF-8 does)",
    );
  }
  const nul = bytes.indexOf(0);
  if (nul >= 0) throw refuse(`not a text: its byte ${offset + nul} is 0`);
}

function marksUtf16([first, second]: Uint8Array): boolean {
  return first === 0xff && second === 0xfe || first === 0xfe && second === 0xff;
}

/** Whether every other byte at the start is 0, or almost: what UTF-16 makes of Latin letters. */
function looksLikeUtf16(bytes: Uint8Array): boolean {
  const start = bytes.subarray(0, SNIFFED_BYTES);
  const zeros = [0, 0];
  start.forEach((byte, i) => zeros[i % 2] += byte === 0 ? 1 : 0);
  const [fewer, more] = zeros.toSorted((a, b) => a - b);
  return start.length >= 2 && more > start.length / 4 && fewer < more / 4;
}
