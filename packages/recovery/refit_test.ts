import { matrix } from "@lopper/algebra";
import { inverse, Matrix as Dense } from "ml-matrix";
import assert from "node:assert/strict";
import type { FitBatch } from "./fit_batch.ts";
import { momentsOf } from "./moments.ts";
import { bestFit, type Fit, fitOf } from "./refit.ts";
import { assertClose, dense, inBatches, productsTest, randoms } from "./testing/products.ts";

const CHANNELS = 6, HIDDEN = 4;

productsTest(
  "refit: the change is that of a ridge regression, and λ a share of the mean diagonal",
  async (products) => {
    const random = randoms(5);
    const batch = { captured: random(40, CHANNELS), missing: random(40, HIDDEN) };
    const moments = await momentsOf(products, inBatches([batch]));
    const rows = random(CHANNELS, HIDDEN).data;
    const x = dense(batch.captured);
    const gram = x.transpose().mmul(x);
    for (const lambda of [0.01, 1]) {
      const fit = await fitOf(products, moments, { rows, dtype: "F32" }, lambda);
      const ridge = Dense.eye(CHANNELS).mul(lambda * gram.trace() / CHANNELS);
      const change = inverse(Dense.add(gram, ridge)).mmul(x.transpose().mmul(dense(batch.missing)));
      assertClose(fit!.change.data, change, `λ ${lambda}`);
      const wanted = Dense.add(dense(matrix(CHANNELS, HIDDEN, rows)), change);
      assertClose(fit!.rows, wanted, `rows with λ ${lambda}`);
    }
  },
);

productsTest(
  "refit: rows are what the dtype holds, and there is no fit where it cannot hold them",
  async (products) => {
    const random = randoms(7);
    const batch = { captured: random(20, CHANNELS), missing: random(20, HIDDEN) };
    const moments = await momentsOf(products, inBatches([batch]));
    const rows = random(CHANNELS, HIDDEN).data;
    const fit = await fitOf(products, moments, { rows, dtype: "BF16" }, 0.01);
    const bits = new Uint32Array(fit!.rows.buffer);
    assert.ok(bits.every((pattern) => (pattern & 0xffff) === 0), "the lower half of each is empty");
    const large = { captured: batch.captured, missing: matrix(20, HIDDEN) };
    large.missing.data.fill(1e6);
    const beyond = await momentsOf(products, inBatches([large]));
    assert.equal(await fitOf(products, beyond, { rows, dtype: "F16" }, 0.01), null);
    assert.notEqual(await fitOf(products, beyond, { rows, dtype: "F32" }, 0.01), null);
    const nothing = await momentsOf(
      products,
      inBatches([{ captured: matrix(3, CHANNELS), missing: random(3, HIDDEN) }]),
    );
    assert.equal(await fitOf(products, nothing, { rows, dtype: "F32" }, 0.01), null);
  },
);

productsTest(
  "refit: the best fit leaves least of other text, over all its batches, and less than none",
  async (products) => {
    const random = randoms(11);
    const right = random(CHANNELS, HIDDEN);
    const scaled = (factor: number): Fit => {
      const change = matrix(CHANNELS, HIDDEN, right.data.map((value) => value * factor));
      return { lambda: factor, rows: change.data, change };
    };
    const batches: FitBatch[] = [];
    for (const [tokens, factor] of [[4, -1], [12, 1]]) {
      const captured = random(tokens, CHANNELS);
      const missing = dense(captured).mmul(dense(right)).mul(factor);
      batches.push({
        captured,
        missing: matrix(tokens, HIDDEN, Float32Array.from(missing.to1DArray())),
      });
    }
    const fits = [2.5, 0.5, -0.5].map(scaled);
    for (const order of [batches, batches.toReversed()]) {
      const best = await bestFit(products, fits, inBatches(order));
      assert.equal(best, fits[1], "not that of one batch");
    }
    assert.equal(await bestFit(products, [fits[0], fits[2]], inBatches(batches)), null);
    assert.equal(await bestFit(products, [], inBatches(batches)), null);
  },
);
