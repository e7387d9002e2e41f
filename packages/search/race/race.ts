import { indexOfLowest, type Picker } from "../picker.ts";
import { BASE, type ScoreEvent, type StepScores } from "../scores.ts";
import { Accounts } from "./accounts.ts";
import { FIRST_ROUND, rotated } from "./batches.ts";
import { estimatesOf, FullAudits, gatherLazily, learn } from "./lazy.ts";
import { gatherByProxy } from "./proxies.ts";
import { everyoneOf, type RaceStep, scoreAll, scoreEach, sequencesOf } from "./race_step.ts";
import { dropLosers } from "./racing.ts";
import { Threshold } from "./threshold.ts";

/** Techniques of the fast search; each can be switched off. */
export const TECHNIQUES = ["racing", "lazy", "proxies", "threshold", "reuse"] as const;

export interface RaceOptions {
  /** Drop candidates that a paired comparison on some of the sequences says cannot win. */
  readonly racing: boolean;
  /** Score again only those that were good at an earlier step, and audit the others in turn. */
  readonly lazy: boolean;
  /** Begin a stage with those that move the output of their block least. */
  readonly proxies: boolean;
  /**
   * Where kinds compete, take without a race what costs about as much as the last one that won one.
   * Needs `lazy`.
   */
  readonly threshold: boolean;
  /**
   * What a step takes, in candidates scored on everything, where there are 48 on 4096 tokens; for
   * estimates alone.
   */
  readonly usual?: number;
}

/**
 * More candidates run longer races, and on little text these take longer to tell them apart. Fitted
 * to searches of three models on 1,024 to 16,384 tokens.
 */
const CANDIDATES = 48, TOKENS = 4096;
const BY_CANDIDATES = 0.5, BY_TOKENS = 0.75;
/** What the first step of a stage takes behind its first round. */
const FIRST_STEP = 3;

/**
 * The fast search: four ideas, each in a file of its own and on its own switch (racing.ts, lazy.ts,
 * proxies.ts, threshold.ts).
 *
 * Every step begins its race on other sequences, and what a candidate did on those of earlier steps
 * stays in its account, moved by what has changed since: so that no part of the text decides again
 * and again. Only scores decide, and the taken candidate is scored on everything.
 */
export class Race implements Picker {
  readonly #options: RaceOptions;
  readonly #accounts = new Accounts();
  readonly #audits = new FullAudits();
  readonly #threshold = new Threshold();
  /** Of the last step in its stage. */
  #number = 0;
  /** What steps cost so far, in candidates scored on everything. */
  #evaluations = { sum: 0, steps: 0 };

  constructor(options: RaceOptions) {
    this.#options = options;
  }

  expectedTokens(
    { candidates, isFirst }: Parameters<Picker["expectedTokens"]>[0],
    tokens: number,
  ): number {
    const { sum, steps } = this.#evaluations;
    const { usual = 1 } = this.#options;
    const before = usual * (candidates / CANDIDATES) ** BY_CANDIDATES *
      (TOKENS / tokens) ** BY_TOKENS;
    // Of the first step nothing is known, and everyone runs in its first round.
    const expected = isFirst ? candidates * FIRST_ROUND + FIRST_STEP : (sum + before) / (steps + 1);
    return tokens * Math.min(candidates, expected);
  }

  async *pick(scores: StepScores, firstOfStage: boolean): AsyncGenerator<ScoreEvent, number> {
    const step = this.#begin(scores, firstOfStage);
    if (scores.candidates.length === 1) {
      yield* scoreEach(scores, [0], step.batches);
      return Number.isFinite(scores.perplexity(0)) ? 0 : -1;
    }
    const cheap = yield* this.#threshold.takeCheap(step, this.#accounts);
    if (cheap >= 0) {
      this.#count(step);
      return cheap;
    }
    const winner = yield* this.#race(step);
    // On the sequences that were left it may have overflowed: then the others have to show what
    // they are.
    return winner >= 0 && Number.isFinite(scores.perplexity(winner))
      ? winner
      : yield* scoreAll(step);
  }

  #begin(scores: StepScores, firstOfStage: boolean): RaceStep {
    const { lazy } = this.#options;
    if (firstOfStage || !lazy) this.#accounts.clear();
    if (firstOfStage) {
      this.#audits.restart();
      this.#threshold.restart();
    }
    this.#number = firstOfStage ? 0 : this.#number + 1;
    return {
      scores,
      number: this.#number,
      batches: rotated(scores.scorer.batches.length, this.#number),
      byLossIncrease: lazy || scores.weighted,
    };
  }

  /** Who wins, scored on everything; -1 where nobody is finite. */
  async *#race(step: RaceStep): AsyncGenerator<ScoreEvent, number> {
    const { scores, batches } = step;
    const { lazy, threshold } = this.#options;
    const pool = yield* this.#gather(step);
    const estimates = estimatesOf(step, this.#accounts, pool);
    const winner = yield* this.#rounds(step, pool, estimates);
    if (winner >= 0) {
      scores.expect(lazy ? [winner, BASE] : [winner], batches);
      yield* scoreEach(scores, [winner], batches);
    }
    if (lazy) {
      yield* scores.scoreBase(batches);
      learn(step, this.#accounts, estimates, pool);
    }
    this.#count(step);
    if (threshold && lazy && winner >= 0) this.#threshold.raise(scores, winner);
    return winner;
  }

  /** Scores on the first batch those that may win; returns their indices. */
  async *#gather(step: RaceStep): AsyncGenerator<ScoreEvent, number[]> {
    const { scores, batches: [first] } = step;
    const { lazy, proxies } = this.#options;
    if (step.byLossIncrease) yield* scores.scoreBase([first]);
    const fullAudit = lazy && this.#audits.isDue(step);
    const anyKnown = scores.candidates.some((candidate) =>
      this.#accounts.of(candidate)?.lossIncrease
    );
    if (anyKnown && !fullAudit) return yield* gatherLazily(step, this.#accounts);
    const pool = !anyKnown && proxies ? yield* gatherByProxy(step, this.#accounts) : null;
    if (pool) return pool;
    const everyone = everyoneOf(step);
    yield* scoreEach(scores, everyone, [first]);
    return everyone;
  }

  /** Runs those of the pool that are left on twice as many sequences, round by round. */
  async *#rounds(
    step: RaceStep,
    pool: readonly number[],
    estimates: ReturnType<typeof estimatesOf>,
  ): AsyncGenerator<ScoreEvent, number> {
    const { scores, batches } = step;
    const isFinite = (i: number) => Number.isFinite(scores.perplexity(i));
    let alive = pool.filter(isFinite);
    for (let n = 1; n < batches.length && alive.length > 1; n = Math.min(batches.length, 2 * n)) {
      if (this.#options.racing) alive = dropLosers(step, this.#accounts, alive, estimates);
      if (alive.length === 1) break;
      const round = batches.slice(0, 2 * n);
      if (step.byLossIncrease) {
        scores.expect([BASE, ...alive], round);
        yield* scores.scoreBase(round);
      }
      yield* scoreEach(scores, alive, round);
      alive = alive.filter(isFinite);
    }
    const finished = alive.filter((i) => scores.count(i) === sequencesOf(step));
    return finished.length > 0
      ? finished[indexOfLowest(finished.map((i) => scores.loss(i)))]
      : alive[0] ?? -1;
  }

  #count(step: RaceStep) {
    const { sum, steps } = this.#evaluations;
    const scored = everyoneOf(step).reduce((n, i) => n + step.scores.count(i), 0);
    this.#evaluations = { sum: sum + scored / sequencesOf(step), steps: steps + 1 };
  }
}
