import type { Tokenizer } from "@lopper/model-io";

/** What a token is to a reader. */
export type TokenKind =
  | "words"
  | "capitalised words"
  | "parts of words"
  | "numbers"
  | "punctuation"
  | "spaces and line ends"
  | "other";

/** Tells what tokens are from their text and from the token before; it remembers the text of every token. */
export class TokenKinds {
  readonly #tokenizer: Tokenizer;
  readonly #anchor: readonly number[];
  readonly #anchorText: string;
  readonly #texts = new Map<number, string>();

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    // Some tokenizers drop the space of the first token, so none is decoded as the first.
    this.#anchor = tokenizer.encode("a", { addSpecialTokens: false });
    this.#anchorText = tokenizer.decode(this.#anchor);
  }

  kindOf(token: number, before: number): TokenKind {
    return kindOfText(this.#text(token), this.#text(before));
  }

  #text(token: number): string {
    let text = this.#texts.get(token);
    if (text === undefined) {
      text = this.#tokenizer.decode([...this.#anchor, token]).slice(this.#anchorText.length);
      this.#texts.set(token, text);
    }
    return text;
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
