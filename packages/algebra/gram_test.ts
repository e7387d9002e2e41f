import { openBackend } from "@lopper/backends";
import { Matrix as Dense } from "ml-matrix";
import assert from "node:assert/strict";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { GramSum } from "./gram.ts";
import { matrix, Products } from "./products.ts";

Deno.test({
  name: "Gram sums: the lower triangle is that of ml-matrix, however many stripes and batches",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { backend } = await openBackend("cpu", { threads: 1 });
    const products = new Products(backend);
    const random = xoroshiro128plus(7);
    for (const [columns, stripeColumns] of [[1, 4], [4, 4], [7, 3], [9, 2], [5, 16]]) {
      const sum = new GramSum(products, { stripeColumns });
      // The second round shows that what was taken is not there any more.
      for (const batches of [[3, 1, 6], [2]]) {
        const wanted = Dense.zeros(columns, columns);
        for (const rows of batches) {
          const x = Dense.rand(rows, columns, { random: () => uniformFloat64(random) - 0.5 });
          wanted.add(x.transpose().mmul(x));
          await sum.add(matrix(rows, columns, Float32Array.from(x.to1DArray())));
        }
        const { rows, data } = sum.take();
        assert.equal(rows, columns);
        for (let r = 0; r < columns; r++) {
          for (let c = 0; c <= r; c++) {
            const found = data[r * columns + c];
            assert.ok(Math.abs(found - wanted.get(r, c)) < 1e-5, `${columns}: ${r}, ${c}`);
          }
        }
      }
    }
    await products.dispose();
    await backend[Symbol.asyncDispose]();
  },
});
