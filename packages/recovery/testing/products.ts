import { type Matrix, matrix, Products } from "@lopper/algebra";
import { openBackend } from "@lopper/backends";
import { Matrix as Dense } from "ml-matrix";
import assert from "node:assert/strict";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import type { FitBatch } from "../fit_batch.ts";

/** A test that multiplies on a backend. */
export function productsTest(name: string, fn: (products: Products) => Promise<void>) {
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
        await backend[Symbol.asyncDispose]();
      }
    },
  });
}

/** Matrices of values between −½ and ½. */
export function randoms(seed: number) {
  const random = xoroshiro128plus(seed);
  return (rows: number, columns: number) =>
    matrix(
      rows,
      columns,
      Float32Array.from({ length: rows * columns }, () => uniformFloat64(random) - 0.5),
    );
}

export async function* inBatches(batches: readonly FitBatch[]) {
  yield* batches;
}

/** In double precision. */
export const dense = ({ rows, columns, data }: Matrix) =>
  Dense.from1DArray(rows, columns, Array.from(data));

export function assertClose(found: Float32Array, wanted: Dense, what: string) {
  wanted.to1DArray().forEach((value, i) =>
    assert.ok(Math.abs(found[i] - value) < 1e-4, `${what}, ${i}: ${found[i]} for ${value}`)
  );
}
