import assert from "node:assert/strict";
import fc from "fast-check";
import { orderFault } from "./check_order.ts";
import { tinySpec } from "./testing/tiny_spec.ts";

const SPEC = tinySpec(3);
const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 21);
const units = Array.from({ length: 32 }, (_, i) => i);
const order = fc.shuffledSubarray(units, { minLength: 32 });
const orders = fc.tuple(order, order, order);

Deno.test("order: any permutation of each layer's units is one, and nothing else", () => {
  fc.assert(
    fc.property(
      orders,
      fc.nat(2),
      fc.nat(31),
      fc.integer({ min: -2, max: 40 }),
      (all, l, at, to) => {
        const fault = (layers: readonly (readonly number[] | null)[]) =>
          orderFault(SPEC, SPEC.layers, { units: "channels", layers }, null);
        assert.equal(fault(all), null);
        const changed = all.with(l, all[l].with(at, to));
        assert.equal(fault(changed) === null, all[l][at] === to);
        const named = new RegExp(`32 channels of layer ${l}$`);
        assert.match(fault(all.with(l, all[l].toSpliced(at, 1)))!, named);
        assert.match(fault(([] as (number[] | null)[]).concat(all).with(l, null))!, named);
        assert.match(fault(all.slice(1))!, /it orders 2 layers, and the model has 3/);
      },
    ),
    { numRuns: 100, seed: SEED },
  );
});

Deno.test("order: what a model lacks has none", () => {
  const spec = { ...SPEC, layers: SPEC.layers.with(1, { ...SPEC.layers[1], attention: null }) };
  const fault = (layers: readonly (readonly number[] | null)[]) =>
    orderFault(spec, spec.layers, { units: "kvGroups", layers }, null);
  assert.equal(fault([[1, 0], null, [0, 1]]), null);
  assert.match(fault([[1, 0], [0, 1], [0, 1]])!, /the 0 KV groups of layer 1/);
});

Deno.test("order: units that went stay behind those that are there", () => {
  fc.assert(
    fc.property(orders, orders, fc.integer({ min: 1, max: 31 }), (before, after, kept) => {
      const layers = SPEC.layers.map((layer) => ({ ...layer, mlp: { intermediateSize: kept } }));
      const fault = orderFault(SPEC, layers, { units: "channels", layers: after }, {
        layers: before,
      });
      const same = before.every((order, l) =>
        order.slice(0, kept).every((unit) => after[l].slice(0, kept).includes(unit))
      );
      assert.equal(fault === null, same, fault ?? "");
      // a permutation of those that are there, and what went behind it
      const moved = before.map((order) => [
        ...order.slice(0, kept).toReversed(),
        ...order.slice(kept),
      ]);
      assert.equal(
        orderFault(SPEC, layers, { units: "channels", layers: moved }, { layers: before }),
        null,
      );
    }),
    { numRuns: 100, seed: SEED },
  );
});
