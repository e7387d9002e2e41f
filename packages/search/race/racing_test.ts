import assert from "node:assert/strict";
import { finished, raceStep } from "../testing/race_step.ts";
import { estimatesOf } from "./lazy.ts";
import { scoreEach } from "./race_step.ts";
import { dropLosers, standingOf } from "./racing.ts";

const SEQUENCES = 20;
const lossIncreases = (of: (s: number) => number) =>
  Array.from({ length: SEQUENCES }, (_, s) => of(s));

Deno.test("racing: who is behind significantly is dropped", async () => {
  const { step, accounts } = raceStep([
    lossIncreases(() => 0.1),
    lossIncreases((s) => 0.6 + 0.01 * (s % 2)),
    lossIncreases((s) => 0.1 + (s % 2 ? 0.3 : -0.25)),
  ]);
  await finished(scoreEach(step.scores, [0, 1, 2], [0, 1, 2, 3]));
  const estimates = estimatesOf(step, accounts, [0, 1, 2]);
  assert.deepEqual(dropLosers(step, accounts, [0, 1, 2], estimates), [0, 2]);
});

Deno.test("racing: accounts speak where they are surer than the sequences of the step alone", async () => {
  const hard = (s: number) => 0.2 * (s % 3);
  const now = [lossIncreases(hard), lossIncreases((s) => 0.3 + 0.4 * (s % 2))];
  const known = now.map((lossIncrease) => lossIncrease.map((d) => d - 0.05));
  const scored = async (step: ReturnType<typeof raceStep>) => {
    await finished(scoreEach(step.step.scores, [0, 1], [0, 1, 2, 3]));
    const estimates = estimatesOf(step.step, step.accounts, [0, 1]);
    return standingOf(step.step, step.accounts, estimates, 1, 0);
  };
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;
  const without = await scored(raceStep(now));
  const first = (values: readonly number[]) => mean(values.slice(0, 4));
  assert.ok(Math.abs(without.behind - (first(now[1]) - first(now[0]))) < 1e-12);
  assert.ok(without.squaredError > 1e-3);
  // All loss increases have changed alike, so that nothing of the accounts is in doubt.
  const withAccounts = await scored(raceStep(now, { known }));
  assert.ok(withAccounts.squaredError < 1e-12);
  assert.ok(Math.abs(withAccounts.behind - (mean(now[1]) - mean(now[0]))) < 1e-12);
});
