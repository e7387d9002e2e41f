import type { Proposal } from "../proposal.ts";
import type { SequenceNll } from "../scores.ts";

/** What earlier steps of a stage found out about a place of the model. */
export interface Account {
  /**
   * NLL minus the base plan's by sequence, in nats per token, when it was scored last; null for
   * never.
   */
  readonly lossIncrease: SequenceNll | null;
  /** Units that the candidate would have left that was scored. */
  readonly left: number;
  /** Step of the stage in which it was scored. */
  readonly step: number;
  /** How far removing it moves the output of its block; null where that was not measured. */
  readonly perturbation: number | null;
}

/** The accounts of all places, whatever is left of them. */
export class Accounts {
  readonly #known = new Map<string, Account>();

  of(candidate: Proposal): Account | undefined {
    return this.#known.get(placeOf(candidate));
  }

  set(candidate: Proposal, account: Account) {
    this.#known.set(placeOf(candidate), account);
  }

  clear() {
    this.#known.clear();
  }
}

/** Units that a candidate would leave of the first block that it changes. */
export function leftBy({ cuts: [{ left }] }: Proposal): number {
  return left;
}

/**
 * What a candidate changes, whatever is left of it; that of all layers is the same while the first
 * of them is there.
 */
function placeOf({ likeness, cuts: [{ part }] }: Proposal): string {
  return `${likeness} ${part}`;
}
