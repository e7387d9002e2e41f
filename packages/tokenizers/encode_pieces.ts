import type { Tokenizer } from "./tokenizer.ts";

export interface PieceOptions {
  /** Whether the special tokens that the tokenizer adds by itself stand around the text. */
  readonly addSpecialTokens?: boolean;
  /** Says what is wrong with a text that cannot be cut. */
  readonly refuse: (problem: string) => Error;
  /** Characters of a piece. */
  readonly length?: number;
}

/**
 * Characters that are tokenised at once. A tokenizer takes up to 800 bytes for each, and a second
 * for 200,000.
 */
const PIECE_LENGTH = 2 ** 16;
/**
 * A piece without a place to cut it may grow so many times; a longer stretch without a space or a
 * line end is no prose.
 */
const MAX_GROWTH = 4;
/**
 * Characters on either side of a cut that show whether it is one: many times a token, and a few
 * words.
 */
const CONTEXT = 512;
/**
 * Contexts that begin so many characters later have to end in the same tokens: what counts from its
 * beginning does not.
 */
const SHIFTS = [1, 2, 3, 5];
/** Tokens in which they have to end. */
const SAME_ENDING = 16;
/** Characters among which a place is looked for, from the end of a piece on backwards. */
const SPAN = 8192;
/** Places of a kind that are tried there. */
const MAX_TRIED = 8;

type Encode = (text: string) => Promise<readonly number[]>;

/**
 * The token ids of a text of any length as `Tokenizer.encode` gives them for the whole, part after
 * part, in the memory of one piece. A text is cut only where no token crosses the cut and none
 * depends on what is beyond it, which the tokens around it show: those of the text before it,
 * alone, begin those of the text on both sides, wherever it begins.
 * @throws what `refuse` makes of a long stretch that has no such place, such as a million letters
 *   without a space.
 */
export async function* encodedPieces(
  tokenizer: Pick<Tokenizer, "encode">,
  text: string,
  { addSpecialTokens = true, refuse, length = PIECE_LENGTH }: PieceOptions,
): AsyncGenerator<readonly number[]> {
  if (text.length <= length) {
    yield await tokenizer.encode(text, { addSpecialTokens });
    return;
  }
  const encode: Encode = (part) => tokenizer.encode(part, { addSpecialTokens: false });
  const around = addSpecialTokens ? await tokensAround(tokenizer) : { before: [], after: [] };
  yield around.before;
  for (let start = 0; start < text.length;) {
    const end = await endOfPiece(text, start, length, encode);
    if (end === null) {
      const longest = MAX_GROWTH * length;
      throw refuse(
        `behind its first ${start} characters there are ${longest} that the tokenizer takes at once, which is too much; ` +
          "text with spaces and line ends can be cut",
      );
    }
    const context = contextBefore(text, start);
    const ids = await encode(context + text.slice(start, end));
    const known = start === 0 ? [] : await encode(context);
    if (!beginsWith(ids, known)) {
      throw refuse(
        `the tokenizer reads what is before its character ${start} by what is far behind`,
      );
    }
    yield ids.slice(known.length);
    start = end;
  }
  yield around.after;
}

/** All ids of a text, as `encodedPieces` gives them. */
export async function encodeLongText(
  tokenizer: Pick<Tokenizer, "encode">,
  text: string,
  options: PieceOptions,
): Promise<readonly number[]> {
  const ids: number[] = [];
  for await (const part of encodedPieces(tokenizer, text, options)) {
    // One by one: a call does not take as many arguments.
    for (const id of part) ids.push(id);
  }
  return ids;
}

/** Ids of what the tokenizer puts before and after every text. */
export async function tokensAround(
  { encode }: Pick<Tokenizer, "encode">,
): Promise<Readonly<Record<"before" | "after", readonly number[]>>> {
  const [whole, plain] = await Promise.all([
    encode("a"),
    encode("a", { addSpecialTokens: false }),
  ]);
  const start = whole.findIndex((_, i) => beginsWith(whole.slice(i), plain));
  return { before: whole.slice(0, start), after: whole.slice(start + plain.length) };
}

/** Where the piece that begins at `start` may end; null where it would be too long. */
async function endOfPiece(
  text: string,
  start: number,
  length: number,
  encode: Encode,
): Promise<number | null> {
  const span = Math.min(SPAN, length / 2);
  for (let last = start + length; last <= start + MAX_GROWTH * length; last += span) {
    if (last >= text.length) return text.length;
    for (const place of places(text, last - span, last)) {
      if (await isCut(text, place, encode)) return place;
    }
  }
  return null;
}

/** Kinds of places, the likeliest first, by the characters before and behind. */
const KINDS: readonly ((before: string, behind: string) => boolean)[] = [
  (before, behind) => before === "\n" && /\S/.test(behind),
  (before, behind) => /\S/.test(before) && /\s/.test(behind),
  (before, behind) => /[^\p{L}\p{N}\s]/u.test(before) && /[\p{L}\p{N}]/u.test(behind),
];

/**
 * Places between `first` and `last` where a text may perhaps be cut, of each kind those nearest to
 * `last` first.
 */
function* places(text: string, first: number, last: number): Generator<number> {
  for (const isPlace of KINDS) {
    let tried = 0;
    for (let at = last; at > first && tried < MAX_TRIED; at--) {
      if (!isPlace(text[at - 1], text[at])) continue;
      yield at;
      tried += 1;
    }
  }
}

async function isCut(text: string, at: number, encode: Encode): Promise<boolean> {
  const before = contextBefore(text, at);
  const behind = text.slice(at, at + CONTEXT);
  const alone = await encode(before);
  if (!beginsWith(await encode(before + behind), alone)) return false;
  const ending = alone.slice(-SAME_ENDING);
  for (const shift of SHIFTS) {
    const shifted = await encode(before.slice(shift));
    if (!ending.every((id, i) => id === shifted.at(i - ending.length))) return false;
  }
  return true;
}

function contextBefore(text: string, at: number): string {
  return text.slice(Math.max(0, at - CONTEXT), at);
}

function beginsWith(ids: readonly number[], beginning: readonly number[]): boolean {
  return beginning.length <= ids.length && beginning.every((id, i) => id === ids[i]);
}
