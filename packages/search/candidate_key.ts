/**
 * A short name for a candidate among those of its step: "3.mlp", where a block goes, "3.mlp
 * channels→352", where so many units of it are left, and "3.attention, 3.mlp", where it changes
 * several.
 *
 * Journals name by it what was scored; what was taken names its units, too. Those that other
 * candidates would have removed follow from the ranking that held then, and would make a journal
 * large: a step of LLaMA-7B, which has 128 candidates, takes 15 kB, and would take 200 kB with the
 * units of all of them.
 */
export type CandidateKey = string;

/** What a key says of one block. */
export interface Cut {
  /** Id of the block. */
  readonly part: string;
  /** Null where the whole block goes. */
  readonly dimension: string | null;
  /** Units of the dimension that are left; 0 where the block goes. */
  readonly left: number;
}

export function keyOf(cuts: readonly Cut[]): CandidateKey {
  return cuts.map(({ part, dimension, left }) =>
    dimension === null ? part : `${part} ${dimension}→${left}`
  ).join(", ");
}

/** @throws {SyntaxError} when a text is no key. */
export function cutsOf(key: CandidateKey): readonly Cut[] {
  return key.split(", ").map((text) => {
    const found = /^([\w.-]+)(?: (\w+)→(\d{1,10}))?$/.exec(text);
    if (!found) throw new SyntaxError(`${JSON.stringify(text)} names no candidate`);
    const [, part, dimension = null, left = 0] = found;
    return { part, dimension, left: Number(left) };
  });
}
