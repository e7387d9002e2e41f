import { type BackendName, openBackend } from "@lopper/backends";
import { Matrix as Dense } from "ml-matrix";
import assert from "node:assert/strict";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { eliminate } from "./eliminate.ts";
import { matrix, Products } from "./products.ts";
import { leastError, plainElimination } from "./testing/plain_elimination.ts";

/**
 * H of channels that depend on each other and differ in size by orders of magnitude, W, and a
 * ridge.
 */
function problem(n: number, outputs: number, seed: number) {
  const random = xoroshiro128plus(seed);
  const uniform = () => uniformFloat64(random) - 0.5;
  const mixing = Dense.rand(n, n, { random: uniform }).add(Dense.eye(n));
  const rows = Dense.rand(3 * n, n, { random: uniform }).mmul(mixing);
  for (let c = 0; c < n; c++) rows.mulColumn(c, 10 ** (3 * uniform()));
  const gram = rows.transpose().mmul(rows);
  const lambda = 0.01 * gram.trace() / n;
  const weights = Dense.rand(n, outputs, { random: uniform });
  return { gram, lambda, ridged: Dense.add(gram, Dense.eye(n).mul(lambda)), weights };
}

const floats = (m: Dense) => matrix(m.rows, m.columns, Float32Array.from(m.to1DArray()));

function close(found: number, wanted: number, tolerance: number, what: string) {
  assert.ok(Math.abs(found - wanted) <= tolerance, `${what}: ${found} is not ${wanted}`);
}

async function withProducts(name: BackendName, body: (products: Products) => Promise<void>) {
  const { backend } = await openBackend(name, { threads: 1 });
  const products = new Products(backend);
  try {
    await body(products);
  } finally {
    await products.dispose();
    await backend[Symbol.asyncDispose]();
  }
}

Deno.test("elimination one by one: what every unit adds is what least squares without it says", () => {
  for (const [n, width, outputs] of [[1, 1, 2], [7, 1, 3], [12, 1, 5], [12, 3, 2], [8, 4, 20]]) {
    for (let seed = 1; seed <= 3; seed++) {
      const { ridged, weights } = problem(n, outputs, seed);
      const total = leastError(ridged, weights, Array.from({ length: n }, (_, i) => i));
      const gone: number[] = [];
      let error = 0;
      for (const { unit, increase, next } of plainElimination(ridged, weights, width)) {
        const own = (u: number) => Array.from({ length: width }, (_, i) => u * width + i);
        const left = Array.from({ length: n / width }, (_, u) => u)
          .filter((u) => !gone.includes(u * width));
        const errors = left.map((u) => leastError(ridged, weights, [...gone, ...own(u)]) - error);
        const [least, second = Infinity] = errors.toSorted((a, b) => a - b);
        assert.equal(unit, left[errors.indexOf(least)]);
        close(increase, least, 1e-9 * total, `n ${n}, width ${width}, unit ${unit}`);
        if (second < Infinity) close(next, second, 1e-9 * total, "the next best");
        gone.push(...own(unit));
        error += increase;
      }
      assert.equal(gone.length, n);
      close(error, total, 1e-9 * total, "all gone");
    }
  }
});

for (const name of ["cpu", "wasm"] as const) {
  Deno.test({
    name: `elimination on ${name}: in panels it takes what it takes one by one`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      withProducts(name, async (products) => {
        let compared = 0;
        for (const [n, width] of [[1, 1], [9, 1], [32, 1], [70, 1], [24, 3], [24, 12], [16, 16]]) {
          for (let seed = 1; seed <= 4; seed++) {
            const { gram, ridged, lambda, weights } = problem(n, 6, seed);
            const plain = plainElimination(ridged, weights, width);
            const total = plain.reduce((sum, { increase }) => sum + increase, 0);
            for (const panelRows of width === 1 ? [1, 3, 16, 200] : [1]) {
              const found = await eliminate(products, floats(gram), floats(weights), {
                lambda,
                width,
                panelRows,
                // Several stripes of what is left in the beginning, the last of them shorter.
                stripeRows: 7,
              });
              const what = `n ${n}, units of ${width}, seed ${seed}, panels of ${panelRows}`;
              assert.equal(found!.removed.length, n / width, what);
              for (const [i, { unit, increase, next }] of plain.entries()) {
                // Where two are as good as each other, float32 may take either, and what follows
                // differs.
                if (next - increase < 1e-4 * increase) break;
                assert.equal(found!.removed[i], unit, `${what}, step ${i}`);
                close(found!.increases[i], increase, 1e-3 * increase + 1e-6 * total, what);
                compared += 1;
              }
              const sum = found!.increases.reduce((a, b) => a + b, 0);
              close(sum, total, 1e-4 * total, what);
            }
          }
        }
        // Near ties are rare: hardly any step is left out.
        assert.ok(compared > 1800, `${compared} steps were compared`);
      }),
  });
}

Deno.test({
  name: "elimination: of two channels that do the same the first to go is one of them",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withProducts("cpu", async (products) => {
      // Channels 0 and 2 are equal and carry most; by energy alone channel 1 would go first.
      const gram = new Dense([[4, 0, 4], [0, 1, 0], [4, 0, 4]]);
      const weights = new Dense([[1, 0], [0, 1], [1, 0.5]]);
      const found = await eliminate(products, floats(gram), floats(weights), { lambda: 0.01 });
      assert.deepEqual(found!.removed, [0, 1, 2]);
    }),
});

Deno.test({
  name: "elimination: what has no order is none, instead of one by chance",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withProducts("cpu", async (products) => {
      const weights = matrix(4, 2, Float32Array.from({ length: 8 }, (_, i) => i - 3));
      const run = (gram: Dense, lambda: number, width = 1, w = weights) =>
        eliminate(products, floats(gram), w, { lambda, width });
      const { gram } = problem(4, 1, 1);
      const row = new Dense([[1, 2, 3, 4]]);
      const nan = gram.clone().set(2, 2, NaN);
      const aside = gram.clone().set(1, 2, NaN).set(2, 1, NaN);
      const negative = gram.clone().set(1, 1, -1);
      for (const width of [1, 2]) {
        assert.ok(await run(gram, 0.01, width));
        const singular: [string, Dense][] = [
          ["of rank 1", row.transpose().mmul(row)],
          ["zero", Dense.zeros(4, 4)],
          ["NaN", nan],
          ["NaN aside", aside],
          ["infinite", gram.clone().set(0, 0, Infinity)],
          ["negative", negative],
        ];
        for (const [what, found] of singular) {
          assert.equal(await run(found, 0, width), null, `${what}, units of ${width}`);
        }
        const bad = matrix(4, 2, weights.data.map((value, i) => i === 3 ? NaN : value));
        assert.equal(await run(gram, 0.01, width, bad), null, "weights");
      }
      await assert.rejects(run(gram, 0.01, 3), /4 channels are not units of 3/);
    }),
});
