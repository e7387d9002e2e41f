import type { AddedToken } from "./added_tokens.ts";

/** A stretch of text, or the id of the added token that stands there. */
export type Section = string | number;

interface Node {
  readonly next: Map<number, Node>;
  token?: AddedToken;
}

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const WHITE_SPACE = /\p{White_Space}/u;

/**
 * Splits text at added tokens, as the tokenizers library does (0.23,
 * `AddedVocabulary::find_matches`): of those that begin at the first place where one does, the
 * longest; a token that wants to be a word of its own and is none is passed over, and so is what
 * else begins in it.
 */
export class AddedTokenSplitter {
  readonly #root: Node = { next: new Map() };

  /** @param tokens with the texts that are looked for; of two with one text the first is found. */
  constructor(tokens: readonly (readonly [text: string, token: AddedToken])[]) {
    for (const [text, token] of tokens) {
      let node = this.#root;
      for (let i = 0; i < text.length; i++) {
        const unit = text.charCodeAt(i);
        let next = node.next.get(unit);
        if (!next) node.next.set(unit, next = { next: new Map() });
        node = next;
      }
      node.token ??= token;
    }
  }

  split(text: string): readonly Section[] {
    const sections: Section[] = [];
    let from = 0;
    for (let at = 0; at < text.length;) {
      const found = this.#longest(text, at);
      if (!found) {
        at += 1;
        continue;
      }
      const { token, end } = found;
      if (!token.single_word || isWord(text, at, end)) {
        const start = token.lstrip ? Math.max(spaceBefore(text, at), from) : at;
        const stop = token.rstrip ? spaceBehind(text, end) : end;
        if (from < start) sections.push(text.slice(from, start));
        // Nothing is left of a token of white space that a token before took.
        if (start < stop) sections.push(token.id);
        from = stop;
      }
      at = end;
    }
    if (from < text.length) sections.push(text.slice(from));
    return sections;
  }

  #longest(text: string, at: number): { readonly token: AddedToken; readonly end: number } | null {
    let found: { token: AddedToken; end: number } | null = null;
    let node: Node | undefined = this.#root;
    for (let i = at; i < text.length; i++) {
      node = node.next.get(text.charCodeAt(i));
      if (!node) break;
      if (node.token) found = { token: node.token, end: i + 1 };
    }
    return found;
  }
}

/** Whether what stands from `start` to `end` has no part of a word beside it. */
function isWord(text: string, start: number, end: number): boolean {
  // Two units are a character at most. (Deno 2.9's /[\p{Alphabetic}]$/u finds none of two.)
  const before = [...text.slice(Math.max(0, start - 2), start)].at(-1) ?? "";
  const [behind = ""] = text.slice(end, end + 2);
  return !WORD.test(before) && !WORD.test(behind);
}

function spaceBefore(text: string, at: number): number {
  let start = at;
  while (start > 0 && WHITE_SPACE.test(text[start - 1])) start -= 1;
  return start;
}

function spaceBehind(text: string, at: number): number {
  let end = at;
  while (end < text.length && WHITE_SPACE.test(text[end])) end += 1;
  return end;
}
