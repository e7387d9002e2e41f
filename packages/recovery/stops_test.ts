import { type Block, denseShape, type Shape } from "@lopper/core";
import assert from "node:assert/strict";
import { stopsOf } from "./stops.ts";

const SIZE = { channels: 8 };

/** A model of so many blocks. */
function blocks(count: number): readonly Block[] {
  const dimensions = [{ name: "channels", units: SIZE.channels }];
  return Array.from(
    { length: count },
    (_, layer) => ({ id: `${layer}.mlp`, layer, kind: "mlp", dimensions, weights: [] }),
  );
}

/**
 * Each stop as `block-next`, with the removed blocks that it folds, and `!` where it is refitted.
 */
function route(shape: Shape): string {
  return stopsOf(blocks(shape.length), shape)
    .map(({ block, next, folded, refit }) => `${block}-${next}+${folded}${refit ? "!" : ""}`)
    .join(" ");
}

Deno.test("stops: nothing is refitted before something is gone, and all that stays from there on", () => {
  const dense = denseShape(blocks(6));
  assert.equal(route(dense), "0-1+0 1-2+0 2-3+0 3-4+0 4-5+0 5-6+0");
  const narrower = dense.with(3, { channels: 7 });
  assert.equal(route(narrower), "0-1+0 1-2+0 2-3+0 3-4+0! 4-5+0! 5-6+0!");
});

Deno.test("stops: the block before removed ones makes up for them, and those before all stand alone", () => {
  assert.equal(
    route([null, null, SIZE, null, SIZE, SIZE]),
    "0-1+0 1-2+0 2-4+1! 4-5+0! 5-6+0!",
  );
  assert.equal(route([SIZE, SIZE, null, null, null, SIZE]), "0-1+0 1-5+3! 5-6+0!");
});
