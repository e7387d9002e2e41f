import { openBackend } from "@lopper/backends";
import { Matrix as Dense, solve } from "ml-matrix";
import assert from "node:assert/strict";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { RidgeFactor } from "./cholesky.ts";
import { matrix, Products } from "./products.ts";

/** A Gram matrix of random rows whose columns differ in size by orders of magnitude. */
function gramOf(n: number, samples: number, seed: number) {
  const random = xoroshiro128plus(seed);
  const x = new Dense(samples, n);
  for (let r = 0; r < samples; r++) {
    for (let c = 0; c < n; c++) x.set(r, c, (uniformFloat64(random) - 0.5) * 10 ** (c % 4 - 2));
  }
  return x.transpose().mmul(x);
}

for (const name of ["cpu", "wasm"] as const) {
  Deno.test({
    name:
      `ridge factor on ${name}: it solves and inverts as ml-matrix does, however many blocks it has`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { backend } = await openBackend(name, { threads: 1 });
      const products = new Products(backend);
      for (const [n, samples, blockRows] of [[1, 3, 4], [7, 20, 16], [13, 6, 4], [24, 50, 8]]) {
        const gram = gramOf(n, samples, n);
        const lambda = 0.01 * gram.trace() / n;
        const random = xoroshiro128plus(n);
        const right = Dense.rand(n, 5, { random: () => uniformFloat64(random) }).mul(10);
        const wanted = solve(Dense.add(gram, Dense.eye(n).mul(lambda)), right).to1DArray();
        const floats = (m: Dense) => Float32Array.from(m.to1DArray());
        const factor = await RidgeFactor.of(products, matrix(n, n, floats(gram)), lambda, {
          blockRows,
        });
        const found = await factor!.solve(matrix(n, 5, floats(right)));
        const size = Math.max(...wanted.map(Math.abs));
        wanted.forEach((value, i) =>
          assert.ok(
            Math.abs(found.data[i] - value) < 1e-4 * size,
            `n ${n}: ${found.data[i]}, ${value}`,
          )
        );
        const { scale } = factor!;
        const scaled = Dense.add(gram, Dense.eye(n).mul(lambda));
        scale.forEach((value, i) => scaled.mulRow(i, value).mulColumn(i, value));
        scaled.diagonal().forEach((value) => assert.ok(Math.abs(value - 1) < 1e-6));
        for (const stripeRows of [1, 8, 512]) {
          const triangle = Dense.from1DArray(
            n,
            n,
            (await factor!.inverseTriangle({ stripeRows })).data,
          );
          const damped = Dense.add(gram, Dense.eye(n).mul(lambda));
          const whitened = triangle.mmul(damped).mmul(triangle.transpose()).sub(Dense.eye(n));
          assert.ok(Math.max(...whitened.to1DArray().map(Math.abs)) < 1e-3, `n ${n}: triangle`);
          triangle.to1DArray().forEach((value, i) =>
            assert.ok(i % n <= Math.floor(i / n) || value === 0, "it is no lower triangle")
          );
          const inverted = (await factor!.scaledInverse({ stripeRows })).rows(0, n);
          const unit = Dense.from1DArray(n, n, inverted.data);
          const one = unit.mmul(scaled).sub(Dense.eye(n)).to1DArray();
          assert.ok(
            Math.max(...one.map(Math.abs)) < 1e-3,
            `n ${n}, stripes of ${stripeRows}: no inverse`,
          );
        }
      }
      assert.equal(
        await RidgeFactor.of(products, matrix(2, 2, Float32Array.of(1, 2, 2, 1)), 0),
        null,
      );
      assert.equal(await RidgeFactor.of(products, matrix(1, 1), 0), null);
      const aside = matrix(2, 2, Float32Array.of(1, NaN, NaN, 1));
      assert.equal(await RidgeFactor.of(products, aside, 1), null);
      // In a block of rows of its own, off the diagonal; above it nothing is read.
      for (const [row, column, factors] of [[5, 1, false], [1, 5, true], [0, 1, true]] as const) {
        const gram = matrix(6, 6, Float32Array.from(Dense.eye(6).to1DArray()));
        gram.data[row * 6 + column] = NaN;
        const factor = await RidgeFactor.of(products, gram, 1, { blockRows: 2 });
        assert.equal(factor !== null, factors);
      }
      await products.dispose();
      await backend[Symbol.asyncDispose]();
    },
  });
}
