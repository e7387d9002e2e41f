import { prunedSpec } from "@lopper/core";
import { type Model, openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { Random, randomLayers, randomOrder, tinyModel } from "../../tests/support/tiny_models.ts";
import { orderOfPlan, planFromLayers } from "./plan.ts";

const FIRST = Number(Deno.env.get("LOPPER_SEED") ?? 0);

Deno.test("plan: it describes the layers it was made from, and an order of it gives it back", async () => {
  for (let seed = FIRST; seed < FIRST + 150; seed++) {
    const random = new Random(seed);
    const { spec }: Model = await openModel(await tinyModel(random));
    const order = randomOrder(spec, random);
    const layers = randomLayers(spec, random);
    const options = { modelDigest: "sha256:x", removalOrder: [] };
    const plan = planFromLayers(layers, order, options);
    // which also refuses indices that do not ascend
    assert.deepEqual(prunedSpec(spec, plan).layers, layers, `seed ${seed}`);
    const again = orderOfPlan(plan, order);
    for (const [l, { kvGroups, channels }] of again.layers.entries()) {
      const sorted = (units: readonly number[] | null) => units?.toSorted((a, b) => a - b);
      assert.deepEqual(sorted(kvGroups), sorted(order.layers[l].kvGroups), `seed ${seed}`);
      assert.deepEqual(sorted(channels), sorted(order.layers[l].channels), `seed ${seed}`);
    }
    assert.deepEqual(planFromLayers(layers, again, options), plan, `seed ${seed}`);
  }
});

Deno.test("plan: digest and removal order go along, and the order of units stays as it was", async () => {
  const { spec } = await openModel(await tinyModel(new Random(1)));
  const order = randomOrder(spec, new Random(2));
  const removalOrder = [{ layer: 0, kind: "mlp" as const }];
  const plan = planFromLayers(spec.layers, order, { modelDigest: "sha256:y", removalOrder });
  assert.deepEqual(plan.removalOrder, removalOrder);
  assert.equal(plan.modelDigest, "sha256:y");
  // the order itself stays as it was
  assert.deepEqual(order, randomOrder(spec, new Random(2)));
});
