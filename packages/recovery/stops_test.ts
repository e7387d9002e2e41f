import type { LayerSpec } from "@lopper/core";
import assert from "node:assert/strict";
import { stopsOf } from "./stops.ts";

const attention = { queryHeads: 4, kvHeads: 2 };
const mlp = { intermediateSize: 8 };
const whole: LayerSpec = { attention, mlp };
const none: LayerSpec = { attention: null, mlp: null };

/** Each stop as `block-next`, with the removed blocks that it folds, and `!` where it is refitted. */
function route(dense: readonly LayerSpec[], layers: readonly LayerSpec[]): string {
  return stopsOf(dense, layers)
    .map(({ block, next, folded, refit }) => `${block}-${next}+${folded}${refit ? "!" : ""}`)
    .join(" ");
}

Deno.test("stops: nothing is refitted before something is gone, and all that stays from there on", () => {
  const dense = [whole, whole, whole];
  assert.equal(route(dense, dense), "0-1+0 1-2+0 2-3+0 3-4+0 4-5+0 5-6+0");
  const narrower = [whole, { attention, mlp: { intermediateSize: 7 } }, whole];
  assert.equal(route(dense, narrower), "0-1+0 1-2+0 2-3+0 3-4+0! 4-5+0! 5-6+0!");
});

Deno.test("stops: the block before removed ones makes up for them, and those before all stand alone", () => {
  const dense = [whole, whole, whole];
  assert.equal(
    route(dense, [none, { attention, mlp: null }, whole]),
    "0-1+0 1-2+0 2-4+1! 4-5+0! 5-6+0!",
  );
  assert.equal(route(dense, [whole, none, { attention: null, mlp }]), "0-1+0 1-5+3! 5-6+0!");
});

Deno.test("stops: what the dense model lacks itself is not folded, and is no reason to refit", () => {
  const dense = [whole, none, whole];
  assert.equal(route(dense, dense), "0-1+0 1-4+0 4-5+0 5-6+0");
  assert.equal(route(dense, [whole, none, { attention: null, mlp }]), "0-1+0 1-5+1! 5-6+0!");
});
