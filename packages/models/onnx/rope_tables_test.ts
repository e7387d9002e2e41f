import { UnsupportedModelError } from "@lopper/core";
import { fromFloat32 } from "@lopper/formats";
import { llama3Divisor } from "../llama3_rope.ts";
import { ropeFromTables, type StoredTable } from "./rope_tables.ts";
import assert from "node:assert/strict";

const POSITIONS = 4096;

/** The tables of a model whose angles per position are given. */
function tables(
  frequencies: readonly number[],
  dtype: StoredTable["dtype"],
  magnitude = 1,
): [StoredTable, StoredTable] {
  const table = (name: string, of: (angle: number) => number): StoredTable => ({
    name,
    dtype,
    rows: POSITIONS,
    readRow: (row) =>
      Promise.resolve(fromFloat32(
        dtype,
        Float32Array.from(frequencies, (f) => magnitude * of(Math.fround(row * Math.fround(f)))),
      )),
  });
  return [table("cos_cache", Math.cos), table("sin_cache", Math.sin)];
}

const plain = (theta: number, headDim: number) =>
  Array.from({ length: headDim / 2 }, (_, i) => theta ** (-2 * i / headDim));

for (const dtype of ["F32", "F16"] as const) {
  Deno.test(`rope tables: base and scaling are told from ${dtype} tables`, async () => {
    for (const headDim of [4, 32, 64, 128]) {
      for (const theta of [10_000, 130_000, 500_000, 1_000_000, 5_000_000]) {
        const frequencies = plain(theta, headDim);
        assert.deepEqual(await ropeFromTables(...tables(frequencies, dtype), "m"), {
          rope_type: "default",
          rope_theta: theta,
        }, `${headDim} ${theta}`);
        const divided = tables(frequencies.map((f) => f / 4), dtype);
        assert.deepEqual(await ropeFromTables(...divided, "m"), {
          rope_type: "linear",
          rope_theta: theta,
          factor: 4,
        });
      }
    }
    for (const [headDim, factor] of [[64, 32], [128, 8]]) {
      const scaled = plain(500_000, headDim)
        .map((f, i) => f / llama3Divisor(500_000, headDim, i, factor));
      assert.deepEqual(await ropeFromTables(...tables(scaled, dtype), "m"), {
        rope_type: "llama3",
        rope_theta: 500_000,
        factor,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 8192,
      });
    }
  });

  Deno.test(`rope tables: ${dtype} tables of another scaling are refused`, async () => {
    const frequencies = plain(10_000, 64);
    const others = [
      tables(frequencies, dtype, 1.2),
      tables(frequencies.map((f, i) => i < 20 ? f : f / 3), dtype),
      tables(frequencies.map((f, i) => f / (1 + i)), dtype),
    ];
    for (const other of others) {
      await assert.rejects(ropeFromTables(...other, "m"), (error) => {
        assert.ok(error instanceof UnsupportedModelError, String(error));
        assert.match(error.message, /^m: .*cos_cache, sin_cache.*config\.json beside genai_config/);
        return true;
      });
    }
  });
}
