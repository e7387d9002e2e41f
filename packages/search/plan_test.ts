import { keptFirst, keptOf, planOf, type Ranking, shapeOfKept } from "@lopper/core";
import { type Model, openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { Random, randomRanking, randomShape, tinyModel } from "../../tests/support/tiny_models.ts";
import { changesTo, keepsMostImportant } from "./plan.ts";
import { denseState } from "./state.ts";

const FIRST = Number(Deno.env.get("LOPPER_SEED") ?? 0);

Deno.test("plan: changes to smaller blocks leave the most important units, and a plan says which", async () => {
  for (let seed = FIRST; seed < FIRST + 150; seed++) {
    const random = new Random(seed);
    const { architecture }: Model = await openModel(await tinyModel(random));
    const ranking = randomRanking(architecture, random);
    const shape = randomShape(architecture, random);
    const plan = planOf(
      architecture,
      "sha256:x",
      changesTo(denseState(architecture.blocks, ranking), shape),
    );
    // which also refuses indices that do not ascend
    assert.deepEqual(
      shapeOfKept(architecture.blocks, keptOf(architecture, plan)),
      shape,
      `seed ${seed}`,
    );
    const kept = keptOf(architecture, plan);
    assert.ok(keepsMostImportant(kept, ranking), `seed ${seed}`);
    const again = keptFirst(kept, ranking);
    for (const [block, units] of again.entries()) {
      const sorted = (of: Ranking[number]) =>
        Object.values(of!).map((all) => all.toSorted((a, b) => a - b));
      assert.deepEqual(sorted(units), sorted(ranking[block]), `seed ${seed}`);
    }
    assert.ok(keepsMostImportant(kept, again), `seed ${seed}`);
  }
});

Deno.test("plan: units that are not the most important are told from those that are", () => {
  const ranking = [{ widgets: [3, 1, 0, 2] }, { widgets: [0, 1, 2, 3] }];
  assert.ok(keepsMostImportant([{ widgets: [1, 3] }, null], ranking));
  assert.ok(!keepsMostImportant([{ widgets: [0, 3] }, null], ranking));
  assert.ok(!keepsMostImportant([null, { widgets: [3] }], ranking));
});
