import { indexOfLowest } from "../picker.ts";
import { BASE, type ScoreEvent, type StepScores } from "../scores.ts";
import { type Accounts, leftBy } from "./accounts.ts";
import { learn } from "./lazy.ts";
import { meanOf, type RaceStep, scoreEach } from "./race_step.ts";

/**
 * What is taken without a race may cost so much more than the last winner of one: a share of that,
 * or so many nats for each per cent that goes, whichever is more. Over 20 % the nats are worth 2 %
 * of perplexity if every step costs all of them.
 */
const SLACK = { share: 0.2, nats: 1e-3 };

/**
 * Threshold greedy (Badanidiyuru and Vondrák 2014), where candidates compete by loss for what they
 * save: it makes little difference in which order those of about the same price go, so the next
 * best by its account is scored on everything, and taken if it costs no more than a limit that the
 * last race set. Else there is another race.
 */
export class Threshold {
  /**
   * What a candidate may cost to be taken without a race; null before the first race of a stage.
   */
  #limit: number | null = null;

  restart() {
    this.#limit = null;
  }

  /** Sets the limit by what won a race. */
  raise(scores: StepScores, winner: number) {
    if (!scores.weighted) return;
    const price = scores.loss(winner);
    const slack = Math.max(SLACK.share * price, SLACK.nats);
    this.#limit = Number.isFinite(price) ? price + slack : null;
  }

  /**
   * The candidate that is the best by its account, if it is as cheap as the limit says; else -1.
   */
  async *takeCheap(step: RaceStep, accounts: Accounts): AsyncGenerator<ScoreEvent, number> {
    const limit = this.#limit;
    if (limit === null) return -1;
    const { scores, batches } = step;
    const prices = scores.candidates.map((candidate) => {
      const account = accounts.of(candidate);
      // What a block lost before it was narrowed further says nothing of its next group.
      return account?.lossIncrease && account.left === leftBy(candidate)
        ? meanOf(account.lossIncrease)
        : Infinity;
    });
    const best = indexOfLowest(prices);
    if (best < 0 || !(prices[best] <= limit)) return -1;
    scores.expect([BASE, best], batches);
    yield* scores.scoreBase(batches);
    yield* scoreEach(scores, [best], batches);
    learn(step, accounts, (i) => scores.lossIncrease(i), [best]);
    return scores.loss(best) <= limit ? best : -1;
  }
}
