import type { Tokenizer } from "@lopper/tokenizers";

/** What a token is to a reader. */
export type TokenKind =
  | "words"
  | "capitalised words"
  | "parts of words"
  | "numbers"
  | "punctuation"
  | "spaces and line ends"
  | "other";

/** Tells what tokens are from their text and from the token before. */
export class TokenKinds {
  readonly #texts: ReadonlyMap<number, string>;

  private constructor(texts: ReadonlyMap<number, string>) {
    this.#texts = texts;
  }

  /** Decodes every token of the sequences once. */
  static async of(
    sequences: readonly (readonly number[])[],
    tokenizer: Tokenizer,
  ): Promise<TokenKinds> {
    // Some tokenizers drop the space of the first token, so none is decoded as the first.
    const anchor = await tokenizer.encode("a", { addSpecialTokens: false });
    const { length } = await tokenizer.decode(anchor);
    const texts = await Promise.all(
      [...new Set(sequences.flat())].map(async (token) =>
        [token, (await tokenizer.decode([...anchor, token])).slice(length)] as const
      ),
    );
    return new TokenKinds(new Map(texts));
  }

  /** @param token one of the sequences, and so is the one before. */
  kindOf(token: number, before: number): TokenKind {
    return kindOfText(this.#texts.get(token)!, this.#texts.get(before)!);
  }
}

/** The kind of a token with a text behind a token with another; special tokens have none. */
export function kindOfText(text: string, before: string): TokenKind {
  if (text === "" || text.includes("\ufffd")) return "other";
  if (/^\s+$/.test(text)) return "spaces and line ends";
  if (/\p{N}/u.test(text)) return "numbers";
  if (/^\s*[\p{P}\p{S}]+\s*$/u.test(text)) return "punctuation";
  if (/^\p{L}/u.test(text) && /[\p{L}\p{N}’']$/u.test(before)) return "parts of words";
  const letter = /\p{L}/u.exec(text)?.[0];
  if (letter === undefined) return "other";
  return /\p{Lu}|\p{Lt}/u.test(letter) ? "capitalised words" : "words";
}
