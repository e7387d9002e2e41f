import { openBackend } from "@lopper/backends";
import { Matrix as Dense } from "ml-matrix";
import assert from "node:assert/strict";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { type Matrix, matrix, partOf, Products } from "./products.ts";
import { Triangle } from "./triangle.ts";

const floats = (m: Dense) => matrix(m.rows, m.columns, Float32Array.from(m.to1DArray()));

function same(found: Matrix, wanted: Dense, what: string) {
  assert.deepEqual([found.rows, found.columns], [wanted.rows, wanted.columns], what);
  found.data.forEach((value, i) => {
    const other = wanted.get(Math.floor(i / found.columns), i % found.columns);
    assert.ok(Math.abs(value - other) < 1e-5, `${what}: value ${i} is ${value}, not ${other}`);
  });
}

Deno.test({
  name: "triangle: what is left after some rounds is that of ml-matrix, whatever the stripes",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { backend } = await openBackend("cpu", { threads: 1 });
    const products = new Products(backend);
    const random = xoroshiro128plus(3);
    const drawn = (rows: number, columns: number) =>
      Dense.rand(rows, columns, { random: () => uniformFloat64(random) - 0.5 });
    const rounds = [undefined, [0, 2, 3, 5, 6, 8, 9], undefined, [1, 2, 5], undefined];
    for (const stripeRows of [1, 2, 3, 4, 100]) {
      const start = drawn(10, 10);
      let wanted = Dense.add(start, start.transpose());
      const whole = floats(wanted);
      // Nothing right of the diagonal may count.
      for (let r = 0; r < 10; r++) whole.data.fill(NaN, r * 10 + r + 1, (r + 1) * 10);
      let found = Triangle.of(
        [[0, 3], [3, 4], [4, 10]].map(([from, to]) => partOf(whole, [from, to], [0, to])),
      );
      for (const kept of rounds) {
        const [a, b] = [drawn(2, found.size), drawn(2, found.size)];
        const product = a.transpose().mmul(b);
        wanted.sub(product).sub(product.transpose());
        if (kept) wanted = wanted.selection(kept, kept);
        const terms = [[floats(a), floats(b)], [floats(b), floats(a)]] as const;
        found = await found.less(products, { kept, terms, stripeRows });
        const n = wanted.rows;
        const what = `stripes of ${stripeRows}, ${n} left`;
        assert.equal(found.size, n, what);
        same(found.rows(0, n), wanted, what);
        same(found.rows(1, 3), wanted.subMatrix(1, 2, 0, n - 1), `${what}, some rows`);
        const diagonal = matrix(1, n, Float32Array.from(found.diagonal()));
        same(diagonal, Dense.rowVector(wanted.diagonal()), `${what}, diagonal`);
      }
    }
    await products.dispose();
    await backend[Symbol.asyncDispose]();
  },
});
