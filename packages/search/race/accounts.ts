import type { Candidate } from "../candidate.ts";
import type { SequenceNll } from "../scores.ts";

/** What earlier steps of a stage found out about a block. */
export interface Account {
  /** NLL minus the trunk's by sequence, in nats per token, when it was scored last; null for never. */
  readonly damage: SequenceNll | null;
  /** Width of the candidate that was scored. */
  readonly width: number;
  /** Step of the stage in which it was scored. */
  readonly step: number;
  /** How far removing it moves the output of its block; null where that was not measured. */
  readonly perturbation: number | null;
}

/** The accounts of all blocks, whatever is left of them. */
export class Accounts {
  readonly #known = new Map<string, Account>();

  of(candidate: Candidate): Account | undefined {
    return this.#known.get(keyOf(candidate));
  }

  set(candidate: Candidate, account: Account) {
    this.#known.set(keyOf(candidate), account);
  }

  clear() {
    this.#known.clear();
  }
}

/** A block, whatever is left of it. */
function keyOf({ candidateKind, layer }: Candidate): string {
  return `${candidateKind} ${layer}`;
}
