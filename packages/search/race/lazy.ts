import type { ScoreEvent, SequenceNll } from "../scores.ts";
import { type Accounts, leftBy } from "./accounts.ts";
import { everyoneOf, freshOf, meanOf, type RaceStep, scoreEach } from "./race_step.ts";
import { compare, leaderOf } from "./successive_halving.ts";

/**
 * Of those known from earlier steps, the best of this share of all candidates are scored again at
 * every step.
 */
const FRESH_SHARE = 1 / 10;
const MIN_FRESH = 3;
/** Of the others, this share is scored again at every step, those longest ago first. */
const AUDITED_SHARE = 1 / 30;
/** After so many steps of a stage all candidates are scored again. */
const FULL_AUDIT_STEPS = 16;
/**
 * Of more candidates, as where kinds compete in a model of many layers, scoring everyone again was
 * a third of the work of a search, and what it found was no better.
 */
const MAX_FULLY_AUDITED = 64;

/**
 * What has changed in a candidate's loss increase since it was scored is known from few sequences,
 * and from all others that were scored again: their mean counts as much as so many sequences of its
 * own.
 */
const DRIFT_WEIGHT = 2;

/**
 * Lazy greedy (CELF, Leskovec et al. 2007): a candidate's loss increase at an earlier step is a
 * good guess for this one. Since removing more can also help, the bound that CELF rests on does not
 * hold here, so the others are audited.
 */
export class FullAudits {
  /** Step of the last one. */
  #last = 0;

  restart() {
    this.#last = 0;
  }

  /** Whether this step scores everyone again; the next ones then have time. */
  isDue({ number, scores }: RaceStep): boolean {
    if (scores.candidates.length > MAX_FULLY_AUDITED) return false;
    if (number - this.#last < FULL_AUDIT_STEPS) return false;
    this.#last = number;
    return true;
  }
}

/**
 * Scores on the first batch those that may win by their accounts, some that are audited, and more
 * as long as one may still be ahead.
 * @returns their indices.
 */
export async function* gatherLazily(
  step: RaceStep,
  accounts: Accounts,
): AsyncGenerator<ScoreEvent, number[]> {
  const { scores, batches: [first] } = step;
  const { candidates } = scores;
  const lossIncrease = (i: number) => meanOf(accounts.of(candidates[i])!.lossIncrease!);
  const best = everyoneOf(step).filter((i) => accounts.of(candidates[i])?.lossIncrease)
    .sort((a, b) => lossIncrease(a) - lossIncrease(b) || a - b);
  const pool = best.splice(0, Math.max(MIN_FRESH, Math.ceil(candidates.length * FRESH_SHARE)));
  pool.push(...audited(step, accounts, pool));
  yield* scoreEach(scores, pool, [first]);
  const { drift, spread } = driftOf(step, accounts, pool);
  for (const i of best) {
    if (pool.includes(i)) continue;
    const estimates = estimatesOf(step, accounts, pool);
    const stale = accounts.of(candidates[i])!.lossIncrease!;
    const { behind } = compare(
      stale.map((d) => d === undefined ? d : d + drift),
      estimates(leaderOf(pool, estimates)),
    );
    if (behind - spread >= 0) break;
    yield* scoreEach(scores, [i], [first]);
    pool.push(i);
  }
  return pool;
}

/**
 * Those that nothing but a proxy knows come first, in its order, then those that were scored
 * longest ago.
 */
function audited(step: RaceStep, accounts: Accounts, fresh: readonly number[]): number[] {
  const { candidates } = step.scores;
  const age = (i: number) => accounts.of(candidates[i])?.step ?? -1;
  const proxy = (i: number) => accounts.of(candidates[i])?.perturbation ?? 0;
  return everyoneOf(step).filter((i) => !fresh.includes(i))
    .sort((a, b) => age(a) - age(b) || proxy(a) - proxy(b) || a - b)
    .slice(0, Math.ceil(candidates.length * AUDITED_SHARE));
}

/**
 * What is known of the loss increase of a candidate, by sequence: fresh where it was scored in this
 * step, and as it was before elsewhere, moved by what has changed on the sequences that are known
 * both ways, its own and everyone's.
 */
export function estimatesOf(
  step: RaceStep,
  accounts: Accounts,
  pool: readonly number[],
): (index: number) => SequenceNll {
  const { drift } = driftOf(step, accounts, pool);
  return (index) => {
    const fresh = freshOf(step, index);
    const stale = accounts.of(step.scores.candidates[index])?.lossIncrease;
    if (!stale) return fresh;
    const { behind, count } = compare(fresh, stale);
    const shift = count === 0
      ? drift
      : (count * behind + DRIFT_WEIGHT * drift) / (count + DRIFT_WEIGHT);
    return Array.from(
      { length: Math.max(fresh.length, stale.length) },
      (_, s) => fresh[s] ?? (stale[s] === undefined ? undefined : stale[s] + shift),
    );
  };
}

/**
 * By how much loss increases have grown since they were measured: mean and standard deviation, in
 * nats.
 */
function driftOf(
  step: RaceStep,
  accounts: Accounts,
  indices: readonly number[],
): { readonly drift: number; readonly spread: number } {
  const changes = indices.flatMap((i) => {
    const candidate = step.scores.candidates[i];
    const account = accounts.of(candidate);
    // A block that was narrowed since loses more important units now, which says nothing of the
    // others.
    if (!account?.lossIncrease || account.left !== leftBy(candidate)) return [];
    const { behind } = compare(freshOf(step, i), account.lossIncrease);
    return Number.isFinite(behind) ? [behind] : [];
  });
  if (changes.length < 2) return { drift: 0, spread: 0 };
  const drift = meanOf(changes);
  const spread = Math.sqrt(meanOf(changes.map((change) => (change - drift) ** 2)));
  return { drift, spread };
}

/** Writes down what a step found out about these candidates. */
export function learn(
  { scores, number }: RaceStep,
  accounts: Accounts,
  estimates: (index: number) => SequenceNll,
  pool: readonly number[],
) {
  for (const i of pool) {
    const candidate = scores.candidates[i];
    const lossIncrease = estimates(i).map((d) =>
      d === undefined || Number.isFinite(d) ? d : Infinity
    );
    const perturbation = accounts.of(candidate)?.perturbation ?? null;
    accounts.set(candidate, { lossIncrease, left: leftBy(candidate), step: number, perturbation });
  }
}
