import { pruningRatio } from "@lopper/core";
import assert from "node:assert/strict";
import fc from "fast-check";
import { competition } from "../competition.ts";
import { hash } from "../testing/hash.ts";
import { tinySpec } from "../testing/tiny_spec.ts";
import { swapPairs } from "./swap_pairs.ts";

const SPEC = tinySpec(4);

Deno.test("swap: one goes no further beyond the target than its own removal", () => {
  fc.assert(fc.property(fc.nat(), fc.double({ min: 2, max: 40, noNaN: true }), (seed, target) => {
    const policy = competition(SPEC, { ratio: target, mlpGroup: 8, attentionGroup: 8 });
    let layers = SPEC.layers;
    const [{ candidates, exchange }] = policy.stages;
    for (let step = 0; pruningRatio(SPEC, layers) < target; step++) {
      const all = candidates(layers, target);
      layers = all[Math.floor(hash(seed, `step ${step}`) * all.length)].layers;
    }
    const { restorations, removals } = exchange!;
    const pairs = swapPairs(SPEC, target, restorations(layers, SPEC.layers), removals(layers));
    for (const { restored, removed, ratio, both } of pairs) {
      assert.equal(ratio, pruningRatio(SPEC, both.layers));
      assert.ok(ratio >= target);
      const without = pruningRatio(SPEC, restored.layers);
      assert.equal(removed === null, without >= target);
      assert.ok(without < pruningRatio(SPEC, layers), "something comes back");
    }
  }));
});
