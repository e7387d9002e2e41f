import { countParameters, type LayerSpec, type ModelSpec } from "@lopper/core";
import assert from "node:assert/strict";
import fc from "fast-check";
import { chooseOrder, trialCut } from "./ranking_trial.ts";

const SPEC: ModelSpec = {
  family: "llama",
  hiddenSize: 8,
  headDim: 4,
  vocabSize: 11,
  maxPositions: 64,
  rmsNormEps: 1e-5,
  tiedEmbeddings: true,
  biases: { qkv: false, output: false, mlp: false },
  qkNorm: false,
  rope: { theta: 10_000, scaling: null },
  slidingWindow: null,
  eosTokenIds: [],
  layers: Array.from({ length: 6 }, () => ({
    attention: { queryHeads: 4, kvHeads: 2 },
    mlp: { intermediateSize: 32 },
  })),
};

Deno.test("order: another than the published one is taken where it is better beyond chance", () => {
  const l1 = { order: "l1", nll: [3, 4, 5, 6] } as const;
  const energy = (nll: readonly number[]) => ({ order: "energy", nll } as const);
  const wanda = (nll: readonly number[]) => ({ order: "wanda", nll } as const);
  assert.equal(chooseOrder([l1, energy([2.9, 3.9, 4.8, 5.9]), wanda([3, 4, 5, 6])]), "energy");
  assert.equal(chooseOrder([l1, energy([2.9, 3.9, 4.9, 5.9]), wanda([2, 3, 4, 5])]), "wanda");
  // better on the mean, because of one sequence
  assert.equal(chooseOrder([l1, energy([3.1, 4.1, 5.1, 2])]), "l1");
  assert.equal(chooseOrder([l1, energy([3.1, 4.1, 5.1, 6.1])]), "l1");
  assert.equal(chooseOrder([{ ...l1, nll: [3] }, energy([1])]), "l1", "one sequence says nothing");
  assert.equal(chooseOrder([l1, energy([1, 1, NaN, 1])]), "l1");
  assert.equal(chooseOrder([{ ...l1, nll: [3, NaN] }, energy([9, 9]), wanda([8, 9])]), "wanda");
});

Deno.test("order: a trial cut takes the same share everywhere, and as many parameters as asked for", () => {
  fc.assert(fc.property(
    fc.constantFrom("channels" as const, "kvGroups" as const),
    fc.double({ min: 0.1, max: 40, noNaN: true }),
    fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
    (units, percent, gone) => {
      const kind = units === "channels" ? "mlp" : "attention";
      const layers = SPEC.layers.map((layer, i): LayerSpec =>
        gone[i] && gone.includes(false) ? { ...layer, [kind]: null } : layer
      );
      const cut = trialCut(SPEC, layers, units, percent);
      const count = ({ attention, mlp }: LayerSpec) =>
        (units === "channels" ? mlp?.intermediateSize : attention?.kvHeads) ?? 0;
      const before = layers.map(count), after = cut.map(count);
      const total = (values: number[]) => values.reduce((a, b) => a + b, 0);
      const less = before.map((n, i) => n - after[i]);
      assert.ok(total(less) >= 1);
      before.forEach((n, i) => assert.ok(n === 0 ? after[i] === 0 : after[i] >= 1));
      const shares = less.filter((_, i) => before[i] > 0);
      assert.ok(Math.max(...shares) - Math.min(...shares) <= 1, String(shares));
      assert.ok(total(less) <= total(before) / 2 + 1);
      const removed = countParameters(SPEC, layers).total - countParameters(SPEC, cut).total;
      const wanted = percent / 100 * countParameters(SPEC).total;
      const unit = removed / total(less);
      if (total(less) < total(before) / 2 - 1) assert.ok(removed > wanted - unit);
      if (total(less) > 1) assert.ok(removed < wanted + unit);
      cut.forEach(({ attention }) =>
        attention && assert.equal(attention.queryHeads, 2 * attention.kvHeads)
      );
    },
  ));
});
