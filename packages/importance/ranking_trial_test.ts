import type { BlockSize } from "@lopper/core";
import assert from "node:assert/strict";
import fc from "fast-check";
import { chooseRanking, trialCut } from "./ranking_trial.ts";

Deno.test("ranking: another than the published one is taken where it is significantly better", () => {
  const l1 = { ranking: "l1", nll: [3, 4, 5, 6] } as const;
  const energy = (nll: readonly number[]) => ({ ranking: "energy", nll } as const);
  const wanda = (nll: readonly number[]) => ({ ranking: "wanda", nll } as const);
  assert.equal(chooseRanking([l1, energy([2.9, 3.9, 4.8, 5.9]), wanda([3, 4, 5, 6])]), "energy");
  assert.equal(chooseRanking([l1, energy([2.9, 3.9, 4.9, 5.9]), wanda([2, 3, 4, 5])]), "wanda");
  // better on the mean, because of one sequence
  assert.equal(chooseRanking([l1, energy([3.1, 4.1, 5.1, 2])]), "l1");
  assert.equal(chooseRanking([l1, energy([3.1, 4.1, 5.1, 6.1])]), "l1");
  assert.equal(
    chooseRanking([{ ...l1, nll: [3] }, energy([1])]),
    "l1",
    "one sequence says nothing",
  );
  assert.equal(chooseRanking([l1, energy([1, 1, NaN, 1])]), "l1");
  assert.equal(chooseRanking([{ ...l1, nll: [3, NaN] }, energy([9, 9]), wanda([8, 9])]), "wanda");
});

Deno.test("ranking: a trial cut takes the same share everywhere, of the blocks that have such units", () => {
  fc.assert(fc.property(
    fc.constantFrom("channels", "kvGroups"),
    fc.double({ min: 0, max: 2, noNaN: true }),
    fc.array(
      fc.constantFrom<BlockSize | null>(null, { kvGroups: 2 }, { kvGroups: 5 }, { channels: 32 }),
      {
        minLength: 1,
      },
    ),
    (dimension, share, shape) => {
      const count = (size: BlockSize | null) => size?.[dimension] ?? 0;
      const before = shape.map(count);
      const all = before.reduce((a, b) => a + b, 0);
      fc.pre(all > before.filter((n) => n > 0).length);
      const cut = trialCut(shape, dimension, share);
      const less = cut.map((size, i) => before[i] - count(size));
      const gone = less.reduce((a, b) => a + b, 0);
      before.forEach((n, i) => assert.ok(n === 0 ? cut[i] === shape[i] : less[i] < n));
      // A block's last unit stays, and each share is rounded to whole units.
      const wanted = Math.max(1, all * Math.min(0.5, share));
      assert.ok(gone <= wanted + 1, `${gone} of ${all} for ${share}`);
      const alike = before.every((n) => n === 0 || n >= 5);
      if (alike) assert.ok(gone >= Math.floor(wanted) - 1, `${gone} of ${all} for ${share}`);
      before.forEach((n, i) => assert.ok(Math.abs(less[i] - n * wanted / all) <= 1));
    },
  ));
});
