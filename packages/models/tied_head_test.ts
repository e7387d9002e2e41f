import { DTYPE_BYTES, type FloatDType } from "@lopper/core";
import { fromFloat32, type TensorInfo } from "@lopper/formats";
import { sameValues } from "./tied_head.ts";
import assert from "node:assert/strict";

const ROWS = 37, COLUMNS = 8;

/** Two matrices apart from each other, and how many bytes of them are read at a time. */
function matrices(a: [FloatDType, Float32Array], b: [FloatDType, Float32Array]) {
  const reads: number[] = [];
  const bytes = new Map([["a", fromFloat32(...a)], ["b", fromFloat32(...b)]]);
  const info = (name: string, dtype: FloatDType): TensorInfo => {
    const byteLength = ROWS * COLUMNS * DTYPE_BYTES[dtype];
    return { name, dtype, shape: [ROWS, COLUMNS], file: name, offset: 0, byteLength };
  };
  const readBytes = (name: string, offset = 0, length = 0) => {
    reads.push(length);
    return Promise.resolve(bytes.get(name)!.subarray(offset, offset + length));
  };
  const same = (chunk?: number) =>
    sameValues({ readBytes }, info("a", a[0]), info("b", b[0]), chunk);
  return { same, reads };
}

Deno.test("same values: every row is compared, a few at a time, up to the first difference", async () => {
  const values = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => Math.sin(i));
  for (const chunk of [1, 4 * COLUMNS * 5, undefined]) {
    const equal = matrices(["F32", values], ["F32", values]);
    assert.equal(await equal.same(chunk), true);
    const most = chunk === undefined ? Infinity : Math.max(chunk, 4 * COLUMNS);
    assert.ok(equal.reads.every((length) => length <= most), equal.reads.join());
    assert.equal(equal.reads.reduce((a, b) => a + b), 2 * 4 * ROWS * COLUMNS);
    for (const place of [0, 100, values.length - 1]) {
      const other = values.with(place, values[place] + 1e-6);
      const differing = matrices(["F32", values], ["F32", other]);
      assert.equal(await differing.same(chunk), false, `${place}`);
      assert.ok(differing.reads.length <= equal.reads.length);
    }
  }
  assert.equal(await matrices(["F16", values], ["F32", values]).same(), true, "but rounded");
  assert.equal(await matrices(["F32", values.with(5, 9)], ["BF16", values]).same(), false);
  const early = matrices(["F32", values], ["F32", values.with(0, 9)]);
  await early.same(1);
  assert.equal(early.reads.length, 2);
  // of two dtypes that do not hold each other's numbers, only numbers that are the same
  assert.equal(await matrices(["F16", values], ["BF16", values]).same(), false);
  const whole = values.map((value) => Math.round(8 * value));
  assert.equal(await matrices(["F16", whole], ["BF16", whole]).same(), true);
});
