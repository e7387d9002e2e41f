import type { ScoreEvent } from "../scores.ts";
import { type Accounts, leftBy } from "./accounts.ts";
import { everyoneOf, type RaceStep, scoreEach } from "./race_step.ts";

/**
 * Of candidates that only a proxy knows, this share is scored, and more as long as better ones
 * come.
 */
const PROXY_SHARE = 1 / 3;
const MIN_SCORED = 8;
/** The share that may follow the best one without a better one before the rest is left alone. */
const PATIENCE = 1 / 8;

/**
 * Proxies: how far a candidate moves its block's output orders those that were never scored. Those
 * that move it least are scored on the first batch.
 * @returns their indices; null where the scorer has no proxy.
 */
export async function* gatherByProxy(
  step: RaceStep,
  accounts: Accounts,
): AsyncGenerator<ScoreEvent, number[] | null> {
  const { scores, batches: [first] } = step;
  const { candidates } = scores;
  const values = yield* scores.perturbations(first);
  if (!values) return null;
  const proxy = (i: number) => scores.weight(i) * values[i];
  for (const [i, candidate] of candidates.entries()) {
    const left = leftBy(candidate);
    accounts.set(candidate, { lossIncrease: null, left, step: -1, perturbation: proxy(i) });
  }
  const order = everyoneOf(step).sort((a, b) => proxy(a) - proxy(b) || a - b);
  const least = Math.max(MIN_SCORED, Math.ceil(candidates.length * PROXY_SHARE));
  const patience = Math.ceil(candidates.length * PATIENCE);
  const pool: number[] = [];
  let best = 0, expected = 0;
  for (const [rank, i] of order.entries()) {
    if (rank >= least && rank - best > patience) break;
    if (rank === expected) {
      // Whatever comes of them, so many will be scored.
      expected = Math.max(least, best + patience + 1);
      scores.expect(order.slice(rank, expected), [first]);
    }
    yield* scoreEach(scores, [i], [first]);
    pool.push(i);
    if (scores.loss(i) < scores.loss(order[best])) best = rank;
  }
  return pool;
}
