import assert from "node:assert/strict";
import { PlanError } from "./errors.ts";
import type { LayerSpec } from "./model_spec.ts";
import { prunedLayers, type PrunePlan } from "./prune_plan.ts";

const WHOLE: LayerSpec = {
  attention: { queryHeads: 4, kvHeads: 2 },
  mlp: { intermediateSize: 8 },
};
const PLAN: PrunePlan = {
  modelDigest: "m",
  removalOrder: [{ layer: 1, kind: "mlp" }],
  layers: [
    { attention: { kvGroups: [1] }, mlp: { channels: [0, 7] } },
    { attention: "removed", mlp: "removed" },
  ],
};

Deno.test("plan: it leaves what it keeps; what was removed may lack a place in the order", () => {
  assert.deepEqual(prunedLayers([WHOLE, WHOLE], PLAN), [
    { attention: { queryHeads: 2, kvHeads: 1 }, mlp: { intermediateSize: 2 } },
    { attention: null, mlp: null },
  ]);
});

Deno.test("plan: what the model does not have, and an order that says something else, are refused", () => {
  const refused = (change: Partial<PrunePlan>, message: RegExp, layers = [WHOLE, WHOLE]) =>
    assert.throws(() => prunedLayers(layers, { ...PLAN, ...change }), (error) => {
      assert.ok(error instanceof PlanError, String(error));
      assert.match(error.message, message);
      return true;
    });
  const [first, second] = PLAN.layers;
  refused({}, /describes 2 layers and the model has 1/, [WHOLE]);
  refused({}, /keeps attention in layer 0, where the model has none/, [
    { ...WHOLE, attention: null },
    WHOLE,
  ]);
  const channels = (kept: readonly number[]) => ({
    layers: [{ ...first, mlp: { channels: kept } }, second],
  });
  refused(channels([]), /keeps none of the MLP channels of layer 0/);
  for (const kept of [[1, 0], [1, 1], [8], [-1], [0.5]]) refused(channels(kept), /must ascend/);
  const [mlp] = PLAN.removalOrder;
  refused({ removalOrder: [mlp, mlp] }, /removalOrder has mlp of layer 1 twice/);
  refused({ removalOrder: [{ layer: 0, kind: "mlp" }] }, /mlp of layer 0, which its layers do not/);
  refused({ removalOrder: [{ layer: 2, kind: "mlp" }] }, /mlp of layer 2, which its layers do not/);
});
