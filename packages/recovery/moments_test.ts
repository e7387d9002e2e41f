import { Matrix as Dense } from "ml-matrix";
import assert from "node:assert/strict";
import type { FitBatch } from "./fit_batch.ts";
import { difference, momentsOf } from "./moments.ts";
import { assertClose, dense, inBatches, productsTest, randoms } from "./testing/products.ts";

const CHANNELS = 6, HIDDEN = 4;

productsTest("moments: those of all batches are those of the rows together", async (products) => {
  const random = randoms(3);
  const batches = [5, 1, 9].map((tokens) => ({
    captured: random(tokens, CHANNELS),
    missing: random(tokens, HIDDEN),
  }));
  const { gram, cross } = await momentsOf(products, inBatches(batches));
  const sum = (of: (batch: FitBatch) => Dense) => batches.map(of).reduce((a, b) => Dense.add(a, b));
  const wanted = sum(({ captured }) => dense(captured).transpose().mmul(dense(captured)));
  for (let r = 0; r < CHANNELS; r++) {
    for (let c = 0; c <= r; c++) {
      assert.ok(Math.abs(gram.data[r * CHANNELS + c] - wanted.get(r, c)) < 1e-5, `${r}, ${c}`);
    }
  }
  const crossed = sum(({ captured, missing }) => dense(captured).transpose().mmul(dense(missing)));
  assertClose(cross.data, crossed, "cross");
});

Deno.test("moments: a difference is that of each value", () => {
  assert.deepEqual(
    difference(Float32Array.of(3, 0.5, -1), Float32Array.of(1, 0.5, 2)),
    Float32Array.of(2, 0, -3),
  );
});
