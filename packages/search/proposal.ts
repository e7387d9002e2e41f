import {
  type Block,
  type BlockSize,
  type Candidate,
  indexOfPart,
  ownersOf,
  type Shape,
  sizeOf,
} from "@lopper/core";
import { type CandidateKey, type Cut, keyOf } from "./candidate_key.ts";
import type { SearchState } from "./state.ts";

/**
 * A candidate of a step, with what follows from its changes. What names it is made when it is asked
 * for: a rehearsal of a search makes some ten thousand of them and asks for nothing but shapes.
 */
export class Proposal {
  readonly #blocks: readonly Block[];

  constructor(
    blocks: readonly Block[],
    readonly changes: Candidate,
    /** What it would leave. */
    readonly shape: Shape,
    /** The first block that it changes, from which on it is scored. */
    readonly first: number,
  ) {
    this.#blocks = blocks;
  }

  /** Of the blocks that it changes, what would be left. */
  get cuts(): readonly Cut[] {
    return this.changes.map(({ part, dimension }) => ({
      part,
      dimension,
      left: dimension === null ? 0 : this.shape[indexOfPart(this.#blocks, part)]![dimension],
    }));
  }

  get key(): CandidateKey {
    return keyOf(this.cuts);
  }

  /**
   * Kinds of blocks and their dimensions that it changes: the same for what is alike, wherever that
   * is.
   */
  get likeness(): string {
    const like = this.changes.map(({ part, dimension }) => {
      const { kind } = this.#blocks[indexOfPart(this.#blocks, part)];
      return dimension === null ? kind : `${kind} ${dimension}`;
    });
    return [...new Set(like)].join();
  }
}

/** @param changes which fit the state: at least one. */
export function proposalOf({ blocks, shape }: SearchState, changes: Candidate): Proposal {
  const after = [...shape];
  let first = blocks.length;
  for (const change of changes) {
    const at = indexOfPart(blocks, change.part);
    after[at] = sizeAfter(blocks[at], after[at], change);
    first = Math.min(first, at);
  }
  return new Proposal(blocks, changes, after, first);
}

function sizeAfter(
  block: Block,
  size: BlockSize | null,
  { dimension, removed, restored = [] }: Candidate[number],
): BlockSize | null {
  if (dimension === null) return null;
  const before = size ?? { ...sizeOf(block), [dimension]: 0 };
  const more = (restored.length - removed.length) / ownersOf(block, dimension);
  return { ...before, [dimension]: before[dimension] + more };
}
