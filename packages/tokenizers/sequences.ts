import { encodedPieces, type PieceOptions, tokensAround } from "./encode_pieces.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Which sequences of a text begin with what the tokenizer puts before a text, as a rule a BOS
 * token: each of them, as far as it puts anything there; the first, as whoever tokenises a text at
 * once and cuts it up has it; or none.
 */
export const BOS_RULES = ["each", "first", "none"] as const;
export type BosRule = typeof BOS_RULES[number];

/** A text as equally long sequences of token ids. */
export interface TextSequences {
  readonly sequences: readonly (readonly number[])[];
  /** Tokens of the whole text; of those that each sequence begins with, none. */
  readonly tokens: number;
  /** Tokens of the text in one sequence. */
  readonly taken: number;
}

/**
 * Tokenises a text at once and cuts it into sequences without overlap; the tail is dropped. Many
 * models are at a loss where a text does not begin with BOS (Gemma's perplexity is many times as
 * high): sequences from the middle of a text that begin with it, too, are what llama.cpp measures
 * perplexity on.
 * @param options.length tokens of a sequence, those that it begins with included.
 * @throws what `refuse` makes of a text that cannot be tokenised in pieces, or of a length that has
 *   no room for a token of the text.
 */
export async function textSequences(
  tokenizer: Pick<Tokenizer, "encode">,
  text: string,
  { length, bos, refuse }: Pick<PieceOptions, "refuse"> & {
    readonly length: number;
    readonly bos: BosRule;
  },
): Promise<TextSequences> {
  const start = bos === "each" ? (await tokensAround(tokenizer)).before : [];
  if (start.length >= length) {
    throw refuse(
      `the tokenizer puts ${start.length} tokens before a text, and sequences of ${length} have no room for more`,
    );
  }
  const pieces = encodedPieces(tokenizer, text, { addSpecialTokens: bos !== "none", refuse });
  return await cutIntoSequences(pieces, length, start);
}

/** @param start what each sequence begins with, and the ids, too. */
async function cutIntoSequences(
  pieces: AsyncIterable<readonly number[]>,
  length: number,
  start: readonly number[],
): Promise<TextSequences> {
  const taken = length - start.length;
  const sequences: number[][] = [];
  // Of its length from the start: a list that grows takes half as much again.
  const empty = () => {
    const sequence = new Array<number>(length);
    start.forEach((id, i) => sequence[i] = id);
    return sequence;
  };
  let current = empty();
  let tokens = -start.length;
  for await (const ids of pieces) {
    for (const id of ids) {
      if (tokens++ < 0) continue;
      current[start.length + (tokens - 1) % taken] = id;
      if (tokens % taken !== 0) continue;
      sequences.push(current);
      current = empty();
    }
  }
  return { sequences, tokens: Math.max(0, tokens), taken };
}
