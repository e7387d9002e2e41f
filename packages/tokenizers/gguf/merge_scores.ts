import type { BpeJson, Refuse, TokenTable } from "./token_table.ts";

type Pair = readonly [string, string];

/** The character that a token repeats; null where it has others, or one alone. */
function runOf(token: string): string | null {
  const [first, ...rest] = token;
  return rest.length > 0 && rest.every((letter) => letter === first) ? first : null;
}

/**
 * Pairs of tokens that make a third, best score of the third first. Of equal ones SentencePiece
 * merges the leftmost. A run of one character grows from the left then, which it does by pairs of
 * whom the longest left comes first.
 */
export function mergesByScore(
  tokens: readonly string[],
  ids: ReadonlyMap<string, number>,
  scores: readonly number[],
): readonly Pair[] {
  const runs = new Map<string, number>();
  const pairs: { readonly pair: Pair; readonly score: number; readonly group: number }[] = [];
  tokens.forEach((token, id) => {
    const run = runOf(token);
    const key = `${run} ${scores[id]}`;
    const group = run === null ? id : runs.get(key) ?? id;
    if (run !== null) runs.set(key, group);
    let left = "";
    for (const character of [...token].slice(0, -1)) {
      left += character;
      const right = token.slice(left.length);
      if (!ids.has(left) || !ids.has(right)) continue;
      pairs.push({ pair: [left, right], score: scores[id], group });
    }
  });
  return pairs.sort((a, b) =>
    b.score - a.score || a.group - b.group ||
    (a.group === b.group && runOf(a.pair.join("")) !== null
      ? b.pair[0].length - a.pair[0].length || b.pair[1].length - a.pair[1].length
      : 0)
  ).map(({ pair }) => pair);
}

/**
 * Scores of tokens that give a BPE's merges. In SentencePiece a merge comes when the score of what
 * it makes is the best, in a BPE when its place in the list is the first: scores are minus that
 * place, where all merges that make a token stand together and every pair that makes a token is a
 * merge.
 */
export function mergeScores(
  merges: BpeJson["model"]["merges"],
  { tokens, ids }: Pick<TokenTable, "tokens" | "ids">,
  refuse: Refuse,
): readonly number[] {
  const pairs = merges.map((merge): Pair => {
    if (typeof merge !== "string") return merge;
    const space = merge.indexOf(" ");
    return [merge.slice(0, space), merge.slice(space + 1)];
  });
  const unknown = pairs.find((pair) => !ids.has(pair.join("")));
  if (unknown) refuse(`its merge ${JSON.stringify(unknown.join(" "))} makes no token`);
  const places = placesOf(pairs);
  if (!places) {
    return refuse("the order of its tokenizer's merges is none that scores of tokens give");
  }
  // What no merge makes comes last. Float32 tells 2²⁴ numbers apart, and no vocabulary has a tenth.
  const scores = tokens.map((token) => -1 - (places.get(token) ?? pairs.length));
  const known = new Set(pairs.map((pair) => pair.join(" ")));
  const extra = mergesByScore(tokens, ids, scores).find((pair) => !known.has(pair.join(" ")));
  if (extra) refuse(`${extra.map((part) => JSON.stringify(part)).join(" and ")} are not merged`);
  return scores;
}

/**
 * The places of tokens among each other, by when they are first made; those of runs that are made
 * by turns are the same. Null where merges of one lie among those of another that may compete for
 * a character: no score says that.
 */
function placesOf(pairs: readonly Pair[]): ReadonlyMap<string, number> | null {
  const made = pairs.map((pair) => pair.join(""));
  const turns = runsByTurns(pairs, spansOf(made));
  const keys = made.map((token) => turns.get(token) ?? token);
  const spans = spansOf(keys);
  for (const [key, { from, to, count }] of spans) {
    if (to - from + 1 === count) continue;
    const letters = new Set(key);
    for (let at = from; at < to; at++) {
      if (keys[at] !== key && [...keys[at]].some((letter) => letters.has(letter))) return null;
    }
  }
  const order = new Map([...spans.keys()].map((key, place) => [key, place]));
  return new Map(made.map((token, at) => [token, order.get(keys[at])!]));
}

interface Span {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** From where to where each of the names stands, and how often. */
function spansOf(names: readonly string[]): ReadonlyMap<string, Span> {
  const spans = new Map<string, Span>();
  names.forEach((name, at) => {
    const { from = at, count = 0 } = spans.get(name) ?? {};
    spans.set(name, { from, to: at, count: count + 1 });
  });
  return spans;
}

/**
 * Runs of one character that are made by turns and grow from the left, by the first of those that
 * they take turns with: of the pairs that make one, the longest left comes first, and of these the
 * longest right.
 */
function runsByTurns(
  pairs: readonly Pair[],
  spans: ReadonlyMap<string, Span>,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const runs = [...spans].filter(([token]) => runOf(token) !== null);
  for (const those of Map.groupBy(runs, ([token]) => runOf(token)!).values()) {
    for (const taking of overlapping(those)) {
      const names = new Set(taking.map(([token]) => token));
      const ends = taking.map(([, { to }]) => to);
      const turns = pairs.slice(taking[0][1].from, Math.max(...ends) + 1)
        .filter((pair) => names.has(pair.join("")));
      if (turns.every((pair, i) => i === 0 || falls(turns[i - 1], pair))) {
        names.forEach((name) => found.set(name, taking[0][0]));
      }
    }
  }
  return found;
}

function falls([left, right]: Pair, [nextLeft, nextRight]: Pair): boolean {
  return nextLeft.length < left.length ||
    nextLeft.length === left.length && nextRight.length < right.length;
}

/** Those whose spans reach into one another, by where they begin. */
function overlapping(
  spans: readonly (readonly [string, Span])[],
): readonly (readonly (readonly [string, Span])[])[] {
  const groups: (readonly [string, Span])[][] = [];
  let end = -1;
  for (const span of spans.toSorted(([, a], [, b]) => a.from - b.from)) {
    if (span[1].from > end) groups.push([span]);
    else groups[groups.length - 1].push(span);
    end = Math.max(end, span[1].to);
  }
  return groups;
}
