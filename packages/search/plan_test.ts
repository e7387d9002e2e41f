import { blocksOf, keptOfPlan, planOf, prunedSpec, shapeOfLayers } from "@lopper/core";
import { type Model, openModel } from "@lopper/models";
import { rankingOf } from "@lopper/runtime";
import assert from "node:assert/strict";
import { Random, randomLayers, randomRanking, tinyModel } from "../../tests/support/tiny_models.ts";
import { changesTo, keepsMostImportant, rankingOfPlan } from "./plan.ts";
import { denseState } from "./state.ts";

const FIRST = Number(Deno.env.get("LOPPER_SEED") ?? 0);

Deno.test("plan: changes to smaller blocks leave the most important units, and a plan says which", async () => {
  for (let seed = FIRST; seed < FIRST + 150; seed++) {
    const random = new Random(seed);
    const { spec }: Model = await openModel(await tinyModel(random));
    const before = randomRanking(spec, random);
    const layers = randomLayers(spec, random);
    const ranking = rankingOf(spec, before);
    const state = denseState(blocksOf(spec), ranking);
    const plan = planOf(spec, "sha256:x", changesTo(state, shapeOfLayers(spec, layers)));
    // which also refuses indices that do not ascend
    assert.deepEqual(prunedSpec(spec, plan).layers, layers, `seed ${seed}`);
    const kept = keptOfPlan(spec, plan);
    assert.ok(keepsMostImportant(kept, ranking), `seed ${seed}`);
    const again = rankingOfPlan(plan, before);
    for (const [l, { kvGroups, channels }] of again.layers.entries()) {
      const sorted = (units: readonly number[] | null) => units?.toSorted((a, b) => a - b);
      assert.deepEqual(sorted(kvGroups), sorted(before.layers[l].kvGroups), `seed ${seed}`);
      assert.deepEqual(sorted(channels), sorted(before.layers[l].channels), `seed ${seed}`);
    }
    assert.ok(keepsMostImportant(kept, rankingOf(spec, again)), `seed ${seed}`);
  }
});

Deno.test("plan: units that are not the most important are told from those that are", () => {
  const ranking = [{ widgets: [3, 1, 0, 2] }, { widgets: [0, 1, 2, 3] }];
  assert.ok(keepsMostImportant([{ widgets: [1, 3] }, null], ranking));
  assert.ok(!keepsMostImportant([{ widgets: [0, 3] }, null], ranking));
  assert.ok(!keepsMostImportant([null, { widgets: [3] }], ranking));
});
