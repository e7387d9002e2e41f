import assert from "node:assert/strict";
import { PlanError } from "./errors.ts";
import type { Block } from "./block.ts";
import { densePlan, keptOf, type PrunePlan } from "./prune_plan.ts";

/** A block without weights. */
function block(layer: number, kind: string, name: string, units: number): Block {
  return { id: `${layer}.${kind}`, layer, kind, dimensions: [{ name, units }], weights: [] };
}

const WHOLE = [0, 1].flatMap((layer) => [
  block(layer, "attention", "kvGroups", 2),
  block(layer, "mlp", "channels", 8),
]);
const PLAN: PrunePlan = {
  modelDigest: "m",
  removalOrder: [{ layer: 1, kind: "mlp" }],
  layers: [
    { attention: { kvGroups: [1] }, mlp: { channels: [0, 7] } },
    { attention: "removed", mlp: "removed" },
  ],
};

Deno.test("plan: it leaves what it keeps; what was removed may lack a place in the order", () => {
  assert.deepEqual(keptOf({ layerCount: 2, blocks: WHOLE }, PLAN), [
    { kvGroups: [1] },
    { channels: [0, 7] },
    null,
    null,
  ]);
});

Deno.test("plan: what the model does not have, and an order that says something else, are refused", () => {
  const refused = (change: Partial<PrunePlan>, message: RegExp, layerCount = 2, blocks = WHOLE) =>
    assert.throws(() => keptOf({ layerCount, blocks }, { ...PLAN, ...change }), (error) => {
      assert.ok(error instanceof PlanError, String(error));
      assert.match(error.message, message);
      return true;
    });
  const [first, second] = PLAN.layers;
  refused({}, /describes 2 layers and the model has 1/, 1);
  refused({}, /keeps attention in layer 0, where the model has none/, 2, WHOLE.slice(1));
  refused(
    { layers: [{ ...first, experts: { experts: [1] } }, second] },
    /keeps experts in layer 0/,
  );
  const channels = (kept: readonly number[]) => ({
    layers: [{ ...first, mlp: { channels: kept } }, second],
  });
  refused(channels([]), /keeps none of the channels of the mlp of layer 0/);
  refused({ layers: [{ ...first, mlp: { heads: [1] } }, second] }, /has no heads/);
  for (const kept of [[1, 0], [1, 1], [8], [-1], [0.5]]) refused(channels(kept), /must ascend/);
  const [mlp] = PLAN.removalOrder;
  refused({ removalOrder: [mlp, mlp] }, /removalOrder has mlp of layer 1 twice/);
  refused({ removalOrder: [{ layer: 0, kind: "mlp" }] }, /mlp of layer 0, which its layers do not/);
  refused({ removalOrder: [{ layer: 2, kind: "mlp" }] }, /mlp of layer 2, which its layers do not/);
});

Deno.test("plan: one that keeps everything names each kind in every layer", () => {
  const kinds = ["attention", "mlp"];
  const plan = densePlan({ layerCount: 2, kinds, blocks: WHOLE.slice(1, 2) }, "m");
  assert.equal(
    JSON.stringify(plan.layers),
    '[{"attention":"removed","mlp":{"channels":[0,1,2,3,4,5,6,7]}},{"attention":"removed","mlp":"removed"}]',
  );
});
