/** The letter that stands for each byte in a byte-level vocabulary (GPT-2, `bytes_to_unicode`). */
const BYTES: ReadonlyMap<string, number> = new Map(byteLetters());

function byteLetters(): readonly (readonly [string, number])[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const stays = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return [String.fromCodePoint(stays ? byte : next++), byte] as const;
  });
}

/** The text of a token of a byte-level vocabulary; what is no letter for a byte is left out. */
export function byteText(token: string): string {
  const bytes = [...token].flatMap((letter) => BYTES.get(letter) ?? []);
  return new TextDecoder().decode(new Uint8Array(bytes));
}
