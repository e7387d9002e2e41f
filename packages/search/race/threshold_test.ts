import assert from "node:assert/strict";
import { finished, raceStep } from "../testing/race_step.ts";
import { scoreEach } from "./race_step.ts";
import { Threshold } from "./threshold.ts";

/** A threshold after a race whose winner costs so many nats for each per cent. */
async function raised(price: number): Promise<Threshold> {
  const { step } = raceStep([[price], [9]]);
  await finished(scoreEach(step.scores, [0], [0]));
  const threshold = new Threshold();
  threshold.raise(step.scores, 0);
  return threshold;
}

const PRICES = [[3, 3], [1.1, 1.1], [2, 2]];

Deno.test("threshold: before a race, and at the beginning of a stage, nothing is taken", async () => {
  const { step, accounts, scorer } = raceStep(PRICES, { known: PRICES });
  assert.equal(await finished(new Threshold().takeCheap(step, accounts)), -1);
  const threshold = await raised(1);
  threshold.restart();
  assert.equal(await finished(threshold.takeCheap(step, accounts)), -1);
  assert.equal(scorer.scored, 0);
});

Deno.test("threshold: the best by its account goes if it costs at most a fifth more than the winner did", async () => {
  for (const [price, taken] of [[1, 1], [0.92, 1], [0.9, -1]]) {
    const { step, accounts, scorer } = raceStep(PRICES, { known: PRICES });
    assert.equal(await finished((await raised(price)).takeCheap(step, accounts)), taken);
    assert.equal(scorer.scored, taken < 0 ? 0 : 2, "on everything, or not at all");
  }
});

Deno.test("threshold: what has become dearer than its account says is not taken, and its account is new", async () => {
  const { step, accounts } = raceStep([[3, 3], [1.3, 1.3]], { known: [[3, 3], [1, 1]] });
  assert.equal(await finished((await raised(1)).takeCheap(step, accounts)), -1);
  assert.deepEqual(accounts.of(step.scores.candidates[1])?.lossIncrease, [1.3, 1.3]);
});

Deno.test("threshold: an account of a wider block says nothing", async () => {
  const { step, accounts, scorer } = raceStep(PRICES, { known: PRICES, account: { left: 8 } });
  assert.equal(await finished((await raised(1)).takeCheap(step, accounts)), -1);
  assert.equal(scorer.scored, 0);
});
