import { commonDivisor } from "@lopper/core";
import { type BatchOptions, type Sequences, shuffled, tokenCount } from "@lopper/importance";
import type { Candidate } from "./candidate.ts";
import { indexOfLowest, type Picker } from "./picker.ts";
import type { ScoreEvent, SequenceNll, StepScores } from "./scores.ts";
import { compare, leaderOf, squaredError, type Standing, survivors } from "./survivors.ts";

/** Techniques of the fast search; each can be switched off. */
export const TECHNIQUES = ["racing", "lazy", "proxies", "threshold", "reuse"] as const;
export type Technique = typeof TECHNIQUES[number];

export interface RaceOptions {
  /** Drop candidates that a paired comparison on some of the sequences says cannot win. */
  readonly racing: boolean;
  /** Score again only those that were good at an earlier step, and audit the others in turn. */
  readonly lazy: boolean;
  /** Begin a stage with those that move the output of their block least. */
  readonly proxies: boolean;
  /** Where kinds compete, take without a race what costs about as much as the last one that won one. Needs `lazy`. */
  readonly threshold: boolean;
}

/** The first round of a race is this share of the sequences. */
const FIRST_ROUND = 1 / 8;

/**
 * In what batches a race goes over its text: the sequences in an order drawn once, and never more together than its first
 * round has.
 * @param batchTokens tokens that may run together at most.
 */
export function raceBatches(
  set: Sequences,
  batchTokens: number,
  seed: number,
): Required<BatchOptions> {
  return {
    batchTokens: Math.min(batchTokens, Math.ceil(tokenCount(set) * FIRST_ROUND)),
    order: shuffled(set.sequences.length, seed),
  };
}

/** Of those known from earlier steps, the best of this share of all candidates are scored again at every step. */
const FRESH_SHARE = 1 / 10;
const FRESH_LEAST = 3;
/** Of the others, this share is scored again at every step, those longest ago first. */
const AUDITED_SHARE = 1 / 30;
/** After so many steps of a stage all candidates are scored again. */
const FULL_AUDIT_STEPS = 16;
/** Of candidates that only a proxy knows, this share is scored, and more as long as better ones come. */
const PROXY_SHARE = 1 / 3;
const PROXY_LEAST = 8;
/** The share that may follow the best one without a better one before the rest is left alone. */
const PROXY_PATIENCE = 1 / 8;

/**
 * What has changed in a candidate's damage since it was scored is known from few sequences, and from all others that were
 * scored again: their mean counts as much as so many sequences of its own.
 */
const DRIFT_WEIGHT = 2;

/**
 * What is taken without a race may cost so much more than the last winner of one: a share of that, or so many nats for each per
 * cent that goes, whichever is more. Over 20 % the nats are worth 2 % of perplexity if every step costs all of them.
 */
const SLACK = { share: 0.2, nats: 1e-3 };

/** What earlier steps of a stage found out about a block. */
interface Knowledge {
  /** NLL minus the trunk's by sequence, in nats per token, when it was scored last; null for never. */
  readonly damage: SequenceNll | null;
  /** Width of the candidate that was scored. */
  readonly width: number;
  /** Step of the stage in which it was scored. */
  readonly step: number;
  /** How far removing it moves the output of its block; null where that was not measured. */
  readonly perturbation: number | null;
}

/**
 * The fast search. Four ideas, each on its own switch:
 * racing, paired and with successive halving (F-race, Birattari et al. 2002; Jamieson & Talwalkar, arXiv 1502.07943);
 * lazy greedy (CELF, Leskovec et al. 2007): a candidate's damage at an earlier step is a good guess for this one. Since
 * removing more can also help, the bound that CELF rests on does not hold here, so the others are audited;
 * proxies: how far a candidate moves its block's output orders those that were never scored;
 * threshold greedy (Badanidiyuru and Vondrák 2014), where candidates compete by loss for what they save: it makes little
 * difference in which order those of about the same price go, so the next best by its account is scored on everything,
 * and taken if it costs no more than a limit that the last race set. Else there is another race.
 *
 * Every step begins its race on other sequences, and what a candidate did on those of earlier steps stays in its account, moved by
 * what has changed since: so that no part of the text decides again and again. Only scores decide, and the taken
 * candidate is scored on everything.
 */
export class Race implements Picker {
  readonly #options: RaceOptions;
  readonly #known = new Map<string, Knowledge>();
  /** Step of the running stage. */
  #step = 0;
  /** Step of the last full audit. */
  #audit = 0;
  /** What a candidate may cost to be taken without a race; null before the first race of a stage. */
  #limit: number | null = null;
  /** Mean of what steps cost so far, in candidates scored on everything. */
  #evaluations = { sum: 3, steps: 1 };

  constructor(options: RaceOptions) {
    this.#options = options;
  }

  expectedTokens(candidates: number, tokens: number): number {
    const { sum, steps } = this.#evaluations;
    return tokens * Math.min(candidates, sum / steps);
  }

  async *pick(scores: StepScores, firstOfStage: boolean): AsyncGenerator<ScoreEvent, number> {
    const { racing, lazy } = this.#options;
    if (firstOfStage || !lazy) this.#known.clear();
    this.#step = firstOfStage ? 0 : this.#step + 1;
    if (firstOfStage) {
      this.#audit = 0;
      this.#limit = null;
    }
    const batches = rotated(scores.scorer.batches.length, this.#step);
    const total = scores.scorer.tokens / scores.scorer.length;
    if (scores.candidates.length === 1) {
      yield* this.#score(scores, [0], batches);
      return Number.isFinite(scores.perplexity(0)) ? 0 : -1;
    }
    const cheap = yield* this.#takeCheap(scores, batches);
    if (cheap >= 0) {
      this.#count(scores, total);
      return cheap;
    }
    const pool = yield* this.#gather(scores, batches[0]);
    const estimates = this.#estimates(scores, pool);
    let alive = pool.filter((i) => Number.isFinite(scores.perplexity(i)));
    for (let n = 1; n < batches.length && alive.length > 1; n = Math.min(batches.length, 2 * n)) {
      if (racing) {
        const leader = leaderOf(alive, estimates);
        alive = survivors(alive, leader, (i, j) => this.#standing(scores, estimates, i, j));
      }
      if (alive.length === 1) break;
      const round = batches.slice(0, 2 * n);
      if (lazy || scores.weighted) yield* scores.scoreTrunk(round);
      yield* this.#score(scores, alive, round);
      alive = alive.filter((i) => Number.isFinite(scores.perplexity(i)));
    }
    const finished = alive.filter((i) => scores.count(i) === total);
    const winner = finished.length > 0
      ? finished[indexOfLowest(finished.map((i) => scores.loss(i)))]
      : alive[0] ?? -1;
    if (winner >= 0) yield* this.#score(scores, [winner], batches);
    if (lazy) {
      yield* scores.scoreTrunk(batches);
      this.#learn(scores, estimates, pool);
    }
    this.#count(scores, total);
    if (winner >= 0) this.#raise(scores, winner);
    // On the sequences that were left it may have overflowed: then the others have to show what they are.
    return winner >= 0 && Number.isFinite(scores.perplexity(winner))
      ? winner
      : yield* this.#rescue(scores, batches);
  }

  /** The candidate that is the best by its account, if it is as cheap as the limit says; else -1. */
  async *#takeCheap(
    scores: StepScores,
    batches: readonly number[],
  ): AsyncGenerator<ScoreEvent, number> {
    const limit = this.#limit;
    if (limit === null) return -1;
    const price = (i: number) => {
      const knowledge = this.#knowledge(scores.candidates[i]);
      // What a block lost before it was narrowed further says nothing of its next group.
      return knowledge?.damage && knowledge.width === scores.candidates[i].width
        ? mean(knowledge.damage)
        : Infinity;
    };
    const prices = scores.candidates.map((_, i) => price(i));
    const best = indexOfLowest(prices);
    if (best < 0 || !(prices[best] <= limit)) return -1;
    yield* scores.scoreTrunk(batches);
    yield* this.#score(scores, [best], batches);
    this.#learn(scores, (i) => scores.damage(i), [best]);
    return scores.loss(best) <= limit ? best : -1;
  }

  /** Sets the limit by what won a race. */
  #raise(scores: StepScores, winner: number) {
    const { threshold, lazy } = this.#options;
    if (!threshold || !lazy || !scores.weighted) return;
    const price = scores.loss(winner);
    const slack = Math.max(SLACK.share * price, SLACK.nats);
    this.#limit = Number.isFinite(price) ? price + slack : null;
  }

  /** Scores on the first batch those that may win; returns their indices. */
  async *#gather(scores: StepScores, first: number): AsyncGenerator<ScoreEvent, number[]> {
    const { candidates } = scores;
    const { lazy, proxies } = this.#options;
    const everyone = candidates.map((_, i) => i);
    if (lazy || scores.weighted) yield* scores.scoreTrunk([first]);
    const fullAudit = lazy && this.#step - this.#audit >= FULL_AUDIT_STEPS;
    if (fullAudit) this.#audit = this.#step;
    const known = everyone.filter((i) => this.#knowledge(candidates[i])?.damage);
    if (known.length === 0 && proxies) {
      const pool = yield* this.#gatherByProxy(scores, first);
      if (pool) return pool;
    }
    if (fullAudit || known.length === 0) {
      yield* this.#score(scores, everyone, [first]);
      return everyone;
    }

    const damage = (i: number) => mean(this.#knowledge(candidates[i])!.damage!);
    const best = known.sort((a, b) => damage(a) - damage(b) || a - b);
    const fresh = Math.max(FRESH_LEAST, Math.ceil(candidates.length * FRESH_SHARE));
    const pool = best.splice(0, fresh);
    pool.push(...this.#audited(everyone.filter((i) => !pool.includes(i)), candidates));
    yield* this.#score(scores, pool, [first]);
    const { drift, spread } = this.#drift(scores, pool);
    for (const i of best) {
      if (pool.includes(i)) continue;
      const estimates = this.#estimates(scores, pool);
      const leader = leaderOf(pool, estimates);
      const stale = this.#knowledge(candidates[i])!.damage!;
      const { behind } = compare(
        stale.map((d) => d === undefined ? d : d + drift),
        estimates(leader),
      );
      if (behind - spread >= 0) break;
      yield* this.#score(scores, [i], [first]);
      pool.push(i);
    }
    return pool;
  }

  /** As `#gather`, from what the proxy says; null where the scorer has none. */
  async *#gatherByProxy(
    scores: StepScores,
    first: number,
  ): AsyncGenerator<ScoreEvent, number[] | null> {
    const { candidates } = scores;
    const values = yield* scores.perturbations(first);
    if (!values) return null;
    const proxy = (i: number) => scores.weight(i) * values[i];
    candidates.forEach(({ width }, i) => {
      const none = { damage: null, width, step: -1, perturbation: proxy(i) };
      this.#known.set(keyOf(candidates[i]), none);
    });
    const order = candidates.map((_, i) => i).sort((a, b) => proxy(a) - proxy(b) || a - b);
    const least = Math.max(PROXY_LEAST, Math.ceil(candidates.length * PROXY_SHARE));
    const patience = Math.ceil(candidates.length * PROXY_PATIENCE);
    const pool: number[] = [];
    let best = 0;
    for (const [rank, i] of order.entries()) {
      if (rank >= least && rank - best > patience) break;
      yield* this.#score(scores, [i], [first]);
      pool.push(i);
      if (scores.loss(i) < scores.loss(order[best])) best = rank;
    }
    return pool;
  }

  /** Those that nothing but a proxy knows come first, in its order, then those that were scored longest ago. */
  #audited(others: readonly number[], candidates: readonly Candidate[]): number[] {
    const age = (i: number) => this.#knowledge(candidates[i])?.step ?? -1;
    const proxy = (i: number) => this.#knowledge(candidates[i])?.perturbation ?? 0;
    return others.toSorted((a, b) => age(a) - age(b) || proxy(a) - proxy(b) || a - b)
      .slice(0, Math.ceil(candidates.length * AUDITED_SHARE));
  }

  /**
   * What is known of the damage of a candidate, by sequence: fresh where it was scored in this step, and as it was before
   * elsewhere, moved by what has changed on the sequences that are known both ways, its own and everyone's.
   */
  #estimates(scores: StepScores, pool: readonly number[]): (index: number) => SequenceNll {
    const { drift } = this.#drift(scores, pool);
    return (index) => {
      const fresh = this.#fresh(scores, index);
      const stale = this.#knowledge(scores.candidates[index])?.damage;
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
   * How two candidates stand to each other on all sequences, from whichever says so more surely: the sequences of this step
   * alone, or their accounts of earlier steps with what has changed since. An account is no more certain than the change that
   * brought it up to date.
   */
  #standing(
    scores: StepScores,
    estimates: (index: number) => SequenceNll,
    index: number,
    other: number,
  ): Standing {
    const total = scores.scorer.tokens / scores.scorer.length;
    const [fresh, freshOther] = [index, other].map((i) => this.#fresh(scores, i));
    const now = compare(fresh, freshOther);
    const direct = { behind: now.behind, squaredError: squaredError(now, total) };
    const [stale, staleOther] = [index, other].map((i) =>
      this.#knowledge(scores.candidates[i])?.damage
    );
    if (!stale || !staleOther) return direct;
    const changes = compare(difference(fresh, stale), difference(freshOther, staleOther));
    const error = squaredError(changes, total) + squaredError(compare(stale, staleOther), total);
    return error < direct.squaredError || !Number.isFinite(direct.squaredError)
      ? { behind: compare(estimates(index), estimates(other)).behind, squaredError: error }
      : direct;
  }

  /** What races compare: the damage, or without a trunk the NLL itself. */
  #fresh(scores: StepScores, index: number): SequenceNll {
    return this.#options.lazy || scores.weighted ? scores.damage(index) : scores.nll(index);
  }

  /** By how much damages have grown since they were measured: mean and standard deviation, in nats. */
  #drift(scores: StepScores, indices: readonly number[]): { drift: number; spread: number } {
    const changes = indices.flatMap((i) => {
      const candidate = scores.candidates[i];
      const knowledge = this.#knowledge(candidate);
      // A block that was narrowed since loses more important units now, which says nothing of the others.
      if (!knowledge?.damage || knowledge.width !== candidate.width) return [];
      const { behind } = compare(this.#fresh(scores, i), knowledge.damage);
      return Number.isFinite(behind) ? [behind] : [];
    });
    if (changes.length < 2) return { drift: 0, spread: 0 };
    const drift = mean(changes);
    const spread = Math.sqrt(mean(changes.map((change) => (change - drift) ** 2)));
    return { drift, spread };
  }

  async *#score(
    scores: StepScores,
    indices: readonly number[],
    batches: readonly number[],
  ): AsyncGenerator<ScoreEvent, void> {
    let lowest = Infinity;
    for (const i of indices) {
      yield* scores.score(i, batches);
      if (!(scores.loss(i) < lowest)) continue;
      lowest = scores.loss(i);
      scores.scorer.favour(scores.candidates[i].layers);
    }
  }

  /** Everything on everything, when the winner of the race turned out not to be finite. */
  async *#rescue(
    scores: StepScores,
    batches: readonly number[],
  ): AsyncGenerator<ScoreEvent, number> {
    const everyone = scores.candidates.map((_, i) => i);
    if (scores.weighted) yield* scores.scoreTrunk(batches);
    yield* this.#score(scores, everyone, batches);
    return indexOfLowest(everyone.map((i) => scores.loss(i)));
  }

  #learn(
    scores: StepScores,
    estimates: (index: number) => SequenceNll,
    pool: readonly number[],
  ) {
    for (const i of pool) {
      const candidate = scores.candidates[i];
      const damage = estimates(i).map((d) => d === undefined || Number.isFinite(d) ? d : Infinity);
      const perturbation = this.#knowledge(candidate)?.perturbation ?? null;
      const { width } = candidate;
      this.#known.set(keyOf(candidate), { damage, width, step: this.#step, perturbation });
    }
  }

  #count(scores: StepScores, total: number) {
    const { sum, steps } = this.#evaluations;
    const scored = scores.candidates.reduce((n, _, i) => n + scores.count(i), 0);
    this.#evaluations = { sum: sum + scored / total, steps: steps + 1 };
  }

  #knowledge(candidate: Candidate): Knowledge | undefined {
    return this.#known.get(keyOf(candidate));
  }
}

/** The numbers below `n`, beginning somewhere else at every step, and everywhere once in `n` steps. */
export function rotated(n: number, step: number): number[] {
  // The golden section spreads the beginnings; a stride without a common divisor visits them all.
  let stride = Math.max(1, Math.round(n * 0.382));
  while (commonDivisor(stride, n) !== 1) stride += 1;
  return Array.from({ length: n }, (_, i) => (step * stride + i) % n);
}

/** A block, whatever is left of it. */
function keyOf({ candidateKind, layer }: Candidate): string {
  return `${candidateKind} ${layer}`;
}

/** By sequence, where both are known. */
function difference(a: SequenceNll, b: SequenceNll): SequenceNll {
  return Array.from(a, (value, s) => {
    const other = b[s];
    return value === undefined || other === undefined ? undefined : value - other;
  });
}

/** Mean of what is known. */
function mean(values: SequenceNll): number {
  const known = values.filter((value) => value !== undefined);
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}
