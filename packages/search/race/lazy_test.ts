import assert from "node:assert/strict";
import { finished, raceStep } from "../testing/race_step.ts";
import { estimatesOf, FullAudits, gatherLazily, learn } from "./lazy.ts";
import { everyoneOf, scoreEach } from "./race_step.ts";

const constant = (lossIncrease: number) => Array.from({ length: 8 }, () => lossIncrease);

Deno.test("lazy: everyone is scored again every 16 steps of a stage", () => {
  const audits = new FullAudits();
  const dueSteps = () =>
    Array.from({ length: 40 }, (_, number) => number)
      .filter((number) => audits.isDue(raceStep([[0], [0]], { number }).step));
  assert.deepEqual(dueSteps(), [16, 32]);
  audits.restart();
  assert.deepEqual(dueSteps(), [16, 32]);
});

Deno.test("lazy: of many candidates not everyone is scored again", () => {
  const isDue = (candidates: number) => {
    const losses = Array.from({ length: candidates }, () => [0]);
    return new FullAudits().isDue(raceStep(losses, { number: 16 }).step);
  };
  assert.deepEqual([isDue(64), isDue(65)], [true, false]);
});

Deno.test("lazy: an account counts as it was, moved by what has changed for the others", async () => {
  const { step, accounts } = raceStep([constant(1.5), constant(2.5), constant(9), constant(7)], {
    known: [constant(1), constant(2), constant(3), null],
  });
  await finished(scoreEach(step.scores, [0, 1], [0, 1]));
  await finished(scoreEach(step.scores, [3], [0]));
  const estimates = estimatesOf(step, accounts, [0, 1]);
  assert.deepEqual(estimates(0), constant(1.5));
  assert.deepEqual(estimates(2), constant(3.5), "not scored in this step");
  assert.deepEqual(estimates(3), [7], "no account");
});

Deno.test("lazy: a block that was narrowed since says nothing of what has changed", async () => {
  const { step, accounts } = raceStep([constant(5), constant(6), constant(3)], {
    known: [constant(1), constant(2), constant(3)],
    account: { left: 24 },
  });
  await finished(scoreEach(step.scores, [0, 1], [0]));
  assert.deepEqual(estimatesOf(step, accounts, [0, 1])(2), constant(3));
});

Deno.test("lazy: the best by their accounts are scored, and the one that was not for longest", async () => {
  const all = Array.from({ length: 30 }, (_, i) => constant(1 + i));
  const { step, accounts } = raceStep(all, { known: all });
  for (const [i, candidate] of step.scores.candidates.entries()) {
    const age = i === 20 ? -7 : i;
    accounts.set(candidate, { ...accounts.of(candidate)!, step: age });
  }
  assert.deepEqual(await finished(gatherLazily(step, accounts)), [0, 1, 2, 20]);
  const scored = everyoneOf(step).filter((i) => step.scores.count(i) > 0);
  assert.deepEqual(scored, [0, 1, 2, 20]);
});

Deno.test("lazy: where the best have got worse, others are scored until none may be ahead", async () => {
  const known = Array.from({ length: 30 }, (_, i) => constant(1 + 0.1 * i));
  const now = known.map((lossIncreases, i) =>
    i < 3 ? lossIncreases.map((d) => d + 1) : lossIncreases
  );
  const { step, accounts } = raceStep(now, { known });
  const pool = await finished(gatherLazily(step, accounts));
  assert.ok(pool.includes(3) && pool.includes(4), `${pool}`);
  assert.ok(pool.length < 30, `${pool}`);
});

Deno.test("lazy: what a step found out is the account of the next, and no number is the worst", async () => {
  const { step, accounts } = raceStep([constant(1), constant(NaN)], { number: 5 });
  await finished(scoreEach(step.scores, [0, 1], [0, 1]));
  learn(step, accounts, (i) => step.scores.lossIncrease(i), [0, 1]);
  const [first, second] = step.scores.candidates.map((candidate) => accounts.of(candidate));
  assert.deepEqual(first, { lossIncrease: [1, 1], left: 0, step: 5, perturbation: null });
  assert.deepEqual(second?.lossIncrease, [Infinity, Infinity]);
});
