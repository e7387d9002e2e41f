import { blockCandidates } from "../candidates.ts";
import { NO_COST } from "../cost.ts";
import { type Account, Accounts } from "../race/accounts.ts";
import type { RaceStep } from "../race/race_step.ts";
import { StepScores } from "../scores.ts";
import { searchModelOf } from "../search_model.ts";
import { denseState } from "../state.ts";
import { FakeScorer } from "./fake_scorer.ts";
import { tinyArchitecture } from "./tiny_architecture.ts";

export interface FakeStep {
  readonly step: RaceStep;
  readonly scorer: FakeScorer;
  readonly accounts: Accounts;
}

/**
 * A step of a race that compares by loss increase. Every sequence is a batch, and the base plan's
 * NLL is 0.
 * @param lossIncreases of each candidate by sequence, in nats per token.
 */
export function raceStep(
  lossIncreases: readonly (readonly number[])[],
  options: {
    readonly number?: number;
    /** How far candidates move the output of their block. */
    readonly moves?: readonly number[];
    /** What earlier steps found out: loss increase by sequence where a candidate has an account. */
    readonly known?: readonly (readonly (number | undefined)[] | null)[];
    readonly account?: Partial<Account>;
  } = {},
): FakeStep {
  const { number = 1, moves, known = [], account } = options;
  const state = denseState(searchModelOf(tinyArchitecture(lossIncreases.length)).blocks);
  // Attention blocks, every other of all.
  const candidates = blockCandidates(state).slice(0, lossIncreases.length);
  const batches = lossIncreases[0].map((_, s) => [s]);
  const scorer = new FakeScorer(
    (_, s, candidate) => candidate ? lossIncreases[candidate.first / 2][s] : 0,
    {
      batches,
      keptBatches: batches.length,
      perturbation: moves && (({ first }) => moves[first / 2]),
    },
  );
  const scores = new StepScores({
    step: number,
    base: state.shape,
    candidates,
    scorer,
    weights: candidates.map(() => 1),
    baseNll: batches.map(() => 0),
    recorded: [],
    measure: () => NO_COST,
  });
  const accounts = new Accounts();
  for (const [i, lossIncrease] of known.entries()) {
    if (!lossIncrease) continue;
    accounts.set(candidates[i], { lossIncrease, left: 0, step: 0, perturbation: null, ...account });
  }
  return {
    step: { scores, number, batches: [...batches.keys()], byLossIncrease: true },
    scorer,
    accounts,
  };
}

/** Runs something to its end. */
export async function finished<T>(work: AsyncGenerator<unknown, T>): Promise<T> {
  let next = await work.next();
  while (!next.done) next = await work.next();
  return next.value;
}
