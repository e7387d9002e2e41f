import { type Matrix, matrix, Products } from "@lopper/algebra";
import { openBackend } from "@lopper/backends";
import { inverse, Matrix as Dense } from "ml-matrix";
import assert from "node:assert/strict";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { type FitBatch, momentsOf } from "./moments.ts";
import { bestFit, type Fit, fitOf } from "./refit.ts";

const CHANNELS = 6, HIDDEN = 4;

function productsTest(name: string, fn: (products: Products) => Promise<void>) {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { backend } = await openBackend("cpu", { threads: 1 });
      const products = new Products(backend);
      try {
        await fn(products);
      } finally {
        await products.dispose();
        await backend.dispose();
      }
    },
  });
}

function randoms(seed: number) {
  const random = xoroshiro128plus(seed);
  return (rows: number, columns: number) =>
    matrix(
      rows,
      columns,
      Float32Array.from({ length: rows * columns }, () => uniformFloat64(random) - 0.5),
    );
}

async function* inBatches(batches: readonly FitBatch[]) {
  yield* batches;
}

const dense = ({ rows, columns, data }: Matrix) =>
  Dense.from1DArray(rows, columns, Array.from(data));

function assertClose(found: Float32Array, wanted: Dense, what: string) {
  wanted.to1DArray().forEach((value, i) =>
    assert.ok(Math.abs(found[i] - value) < 1e-4, `${what}, ${i}: ${found[i]} for ${value}`)
  );
}

productsTest("moments: those of all batches are those of the rows together", async (products) => {
  const random = randoms(3);
  const batches = [5, 1, 9].map((tokens) => ({
    inner: random(tokens, CHANNELS),
    missing: random(tokens, HIDDEN),
  }));
  const { gram, cross } = await momentsOf(products, inBatches(batches));
  const sum = (of: (batch: FitBatch) => Dense) => batches.map(of).reduce((a, b) => Dense.add(a, b));
  const wanted = sum(({ inner }) => dense(inner).transpose().mmul(dense(inner)));
  for (let r = 0; r < CHANNELS; r++) {
    for (let c = 0; c <= r; c++) {
      assert.ok(Math.abs(gram.data[r * CHANNELS + c] - wanted.get(r, c)) < 1e-5, `${r}, ${c}`);
    }
  }
  const crossed = sum(({ inner, missing }) => dense(inner).transpose().mmul(dense(missing)));
  assertClose(cross.data, crossed, "cross");
});

productsTest(
  "refit: the change is that of a ridge regression, and λ a share of the mean diagonal",
  async (products) => {
    const random = randoms(5);
    const batch = { inner: random(40, CHANNELS), missing: random(40, HIDDEN) };
    const moments = await momentsOf(products, inBatches([batch]));
    const rows = random(CHANNELS, HIDDEN).data;
    const x = dense(batch.inner);
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
    const batch = { inner: random(20, CHANNELS), missing: random(20, HIDDEN) };
    const moments = await momentsOf(products, inBatches([batch]));
    const rows = random(CHANNELS, HIDDEN).data;
    const fit = await fitOf(products, moments, { rows, dtype: "BF16" }, 0.01);
    const bits = new Uint32Array(fit!.rows.buffer);
    assert.ok(bits.every((pattern) => (pattern & 0xffff) === 0), "the lower half of each is empty");
    const large = { inner: batch.inner, missing: matrix(20, HIDDEN) };
    large.missing.data.fill(1e6);
    const beyond = await momentsOf(products, inBatches([large]));
    assert.equal(await fitOf(products, beyond, { rows, dtype: "F16" }, 0.01), null);
    assert.notEqual(await fitOf(products, beyond, { rows, dtype: "F32" }, 0.01), null);
    const nothing = await momentsOf(
      products,
      inBatches([{ inner: matrix(3, CHANNELS), missing: random(3, HIDDEN) }]),
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
      const inner = random(tokens, CHANNELS);
      const missing = dense(inner).mmul(dense(right)).mul(factor);
      batches.push({
        inner,
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
