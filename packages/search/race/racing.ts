import type { SequenceNll } from "../scores.ts";
import type { Accounts } from "./accounts.ts";
import { freshOf, type RaceStep, sequencesOf } from "./race_step.ts";
import {
  compare,
  leaderOf,
  squaredError,
  type Standing,
  successiveHalving,
} from "./successive_halving.ts";

/**
 * Racing, paired and with successive halving (F-race, Birattari et al. 2002; Jamieson & Talwalkar,
 * arXiv 1502.07943).
 * @param alive candidates that were scored on the same sequences of this step.
 * @param estimates what is known of their loss increase.
 * @returns those that may still win.
 */
export function dropLosers(
  step: RaceStep,
  accounts: Accounts,
  alive: readonly number[],
  estimates: (index: number) => SequenceNll,
): number[] {
  return successiveHalving(
    alive,
    leaderOf(alive, estimates),
    (index, other) => standingOf(step, accounts, estimates, index, other),
  );
}

/**
 * How two candidates stand to each other on all sequences, from whichever says so more surely: the
 * sequences of this step alone, or their accounts of earlier steps with what has changed since. An
 * account is no more certain than the change that brought it up to date.
 */
export function standingOf(
  step: RaceStep,
  accounts: Accounts,
  estimates: (index: number) => SequenceNll,
  index: number,
  other: number,
): Standing {
  const total = sequencesOf(step);
  const [fresh, freshOther] = [index, other].map((i) => freshOf(step, i));
  const now = compare(fresh, freshOther);
  const direct = { behind: now.behind, squaredError: squaredError(now, total) };
  const [stale, staleOther] = [index, other].map((i) =>
    accounts.of(step.scores.candidates[i])?.lossIncrease
  );
  if (!stale || !staleOther) return direct;
  const changes = compare(difference(fresh, stale), difference(freshOther, staleOther));
  const error = squaredError(changes, total) + squaredError(compare(stale, staleOther), total);
  return error < direct.squaredError || !Number.isFinite(direct.squaredError)
    ? { behind: compare(estimates(index), estimates(other)).behind, squaredError: error }
    : direct;
}

/** By sequence, where both are known. */
function difference(a: SequenceNll, b: SequenceNll): SequenceNll {
  return Array.from(a, (value, s) => {
    const other = b[s];
    return value === undefined || other === undefined ? undefined : value - other;
  });
}
