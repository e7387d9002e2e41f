import type { BpeJson } from "./token_table.ts";

/**
 * Whether every token of a BPE that merges make comes out of merging its own characters: then it is
 * all the same whether whole words are looked up first.
 */
export function mergesMakeAll({ model: { vocab, merges }, added_tokens }: BpeJson): boolean {
  const ranks = new Map<string, number>();
  for (const [rank, merge] of merges.entries()) {
    const pair = typeof merge === "string" ? merge : merge.join(" ");
    if (!ranks.has(pair)) ranks.set(pair, rank);
  }
  // Text is split at these before anything is looked up.
  const added = new Set(added_tokens.map(({ content }) => content));
  return Object.keys(vocab).every((token) => added.has(token) || merged(token, ranks) === 1);
}

/** How many parts merging leaves of a word. */
function merged(word: string, ranks: ReadonlyMap<string, number>): number {
  const parts = [...word];
  while (parts.length > 1) {
    let best = -1, least = Infinity;
    for (let i = 0; i + 1 < parts.length; i++) {
      const rank = ranks.get(`${parts[i]} ${parts[i + 1]}`);
      if (rank !== undefined && rank < least) [best, least] = [i, rank];
    }
    if (best < 0) break;
    parts.splice(best, 2, parts[best] + parts[best + 1]);
  }
  return parts.length;
}
