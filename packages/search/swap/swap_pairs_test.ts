import assert from "node:assert/strict";
import fc from "fast-check";
import { competition } from "../competition.ts";
import { savedBy } from "../saved.ts";
import { searchModelOf } from "../search_model.ts";
import { denseState, type SearchState, stateAfter } from "../state.ts";
import { hash } from "../testing/hash.ts";
import { tinyArchitecture } from "../testing/tiny_architecture.ts";
import { swapPairs } from "./swap_pairs.ts";

const MODEL = searchModelOf(tinyArchitecture(4));
const ratioOf = ({ shape }: Pick<SearchState, "shape">) =>
  savedBy(MODEL.parameters, MODEL.blocks, shape);

Deno.test("swap: one goes no further beyond the target than its own removal", () => {
  fc.assert(fc.property(fc.nat(), fc.double({ min: 2, max: 40, noNaN: true }), (seed, target) => {
    const policy = competition(MODEL, { ratio: target, groups: { channels: 8, kvGroups: 8 } });
    const dense = denseState(MODEL.blocks);
    let state = dense;
    const [{ candidates, exchange }] = policy.stages;
    for (let step = 0; ratioOf(state) < target; step++) {
      const all = candidates(state, target);
      state = stateAfter(state, all[Math.floor(hash(seed, `step ${step}`) * all.length)]);
    }
    const { restorations, removals } = exchange!;
    const pairs = swapPairs(
      MODEL,
      target,
      state,
      restorations(state, dense.kept),
      removals(state),
    );
    for (const { restored, removed, ratio, both } of pairs) {
      assert.equal(ratio, ratioOf(both));
      assert.ok(ratio >= target);
      const without = ratioOf(restored);
      assert.equal(removed === null, without >= target);
      assert.ok(without < ratioOf(state), "something comes back");
    }
  }));
});
