/** What becomes of what a pattern finds (tokenizers, `SplitDelimiterBehavior`). */
export type SplitBehavior =
  | "Removed"
  | "Isolated"
  | "MergedWithPrevious"
  | "MergedWithNext"
  | "Contiguous";

interface Piece {
  readonly text: string;
  readonly found: boolean;
}

/**
 * Splits text by a pattern, as the tokenizers library does (0.23, `NormalizedString::split`).
 * @param pattern with the flag g.
 * @param invert whether what the pattern does not find is what is found.
 */
export function splitPieces(
  text: string,
  pattern: RegExp,
  { behavior, invert }: { readonly behavior: SplitBehavior; readonly invert: boolean },
): readonly string[] {
  const pieces: Piece[] = [];
  let from = 0;
  const add = (end: number, found: boolean) => {
    if (end > from) pieces.push({ text: text.slice(from, end), found: found !== invert });
    from = end;
  };
  for (const match of text.matchAll(pattern)) {
    add(match.index, false);
    add(match.index + match[0].length, true);
  }
  add(text.length, false);
  return behavior === "Isolated"
    ? pieces.map(({ text }) => text)
    : behavior === "Removed"
    ? pieces.flatMap(({ text, found }) => found ? [] : [text])
    : merged(pieces, behavior);
}

function merged(pieces: readonly Piece[], behavior: SplitBehavior): readonly string[] {
  const joined: string[] = [];
  pieces.forEach(({ text, found }, i) => {
    const before = pieces[i - 1]?.found;
    const joins = i > 0 &&
      (behavior === "Contiguous"
        ? found === before
        : behavior === "MergedWithPrevious"
        ? found && !before
        : !found && before);
    if (joins) joined[joined.length - 1] += text;
    else joined.push(text);
  });
  return joined;
}
