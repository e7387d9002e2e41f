import assert from "node:assert/strict";
import { finished, raceStep } from "../testing/race_step.ts";
import { gatherByProxy } from "./proxies.ts";

const CANDIDATES = 24;
const numbers = (n: number) => Array.from({ length: n }, (_, i) => i);
/** Candidates that move their blocks the more the higher their number is. */
const withLossIncreases = (of: (i: number) => number) =>
  raceStep(numbers(CANDIDATES).map((i) => [of(i), of(i)]), { moves: numbers(CANDIDATES) });

Deno.test("proxies: those that move their block least are scored, a third of all", async () => {
  const { step, accounts, scorer } = withLossIncreases((i) => 1 + i);
  assert.deepEqual(await finished(gatherByProxy(step, accounts)), numbers(8));
  assert.equal(scorer.scored, 8);
  assert.equal(scorer.perturbations, CANDIDATES);
  const accountOf = (i: number) => accounts.of(step.scores.candidates[i]);
  assert.deepEqual(accountOf(20), { lossIncrease: null, left: 0, step: -1, perturbation: 20 });
});

Deno.test("proxies: as long as better ones come, the next are scored, too", async () => {
  const { step, accounts, scorer } = withLossIncreases((i) =>
    i === 7 ? 0.5 : i === 10 ? 0.1 : 1 + i
  );
  const portions: number[] = [];
  const { expect } = scorer;
  scorer.expect = (base, candidates, ...rest) => {
    if (candidates.length > 1) portions.push(candidates.length);
    expect.call(scorer, base, candidates, ...rest);
  };
  // An eighth of all may follow the best one.
  assert.deepEqual(await finished(gatherByProxy(step, accounts)), numbers(14));
  assert.deepEqual(portions, [24, 8, 3, 3], "as many at a time as are certain to be scored");
  assert.equal(scorer.unasked, 0);
});

Deno.test("proxies: a scorer that cannot tell says so, and nothing is scored", async () => {
  const { step, accounts, scorer } = raceStep([[1], [2]]);
  assert.equal(await finished(gatherByProxy(step, accounts)), null);
  assert.equal(scorer.scored, 0);
});
