import { type DType, DTYPE_BYTES } from "@lopper/core";
import assert from "node:assert/strict";
import { fromFloat32, toFloat32 } from "./dtypes.ts";

/** Three values of each dtype, as bytes. */
const ENCODED: Record<DType, { buffer: ArrayBufferLike }> = {
  F64: new Float64Array([1, -2.5, 0]),
  F32: new Float32Array([1, -2.5, 0]),
  F16: new Uint16Array([0x3c00, 0xc100, 0]),
  BF16: new Uint16Array([0x3f80, 0xc020, 0]),
  I64: new BigInt64Array([1n, -2n, 0n]),
  I32: new Int32Array([1, -2, 0]),
  I16: new Int16Array([1, -2, 0]),
  I8: new Int8Array([1, -2, 0]),
  U64: new BigUint64Array([1n, 2n, 0n]),
  U32: new Uint32Array([1, 2, 0]),
  U16: new Uint16Array([1, 2, 0]),
  U8: new Uint8Array([1, 2, 0]),
  BOOL: new Uint8Array([1, 1, 0]),
};

for (const [dtype, { buffer }] of Object.entries(ENCODED) as [DType, { buffer: ArrayBuffer }][]) {
  Deno.test(`dtypes: ${dtype} is decoded, aligned or not`, () => {
    const second = dtype === "BOOL"
      ? 1
      : dtype.startsWith("U")
      ? 2
      : dtype.startsWith("I")
      ? -2
      : -2.5;
    const bytes = new Uint8Array(buffer);
    assert.equal(bytes.byteLength, 3 * DTYPE_BYTES[dtype]);
    assert.deepEqual([...toFloat32(dtype, bytes)], [1, second, 0]);
    const shifted = new Uint8Array(bytes.byteLength + 1);
    shifted.set(bytes, 1);
    assert.deepEqual([...toFloat32(dtype, shifted.subarray(1))], [1, second, 0]);
  });
}

const bf16 = (value: number) => {
  const [low, high] = fromFloat32("BF16", Float32Array.of(value));
  return high << 8 | low;
};
const float = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer)[0];

Deno.test("dtypes: BF16 rounds to nearest, ties to even", () => {
  assert.equal(bf16(1), 0x3f80);
  assert.equal(bf16(float(0x3f808000)), 0x3f80, "a tie goes down to even");
  assert.equal(bf16(float(0x3f818000)), 0x3f82, "a tie goes up to even");
  assert.equal(bf16(float(0x3f808001)), 0x3f81, "above a tie goes up");
  assert.equal(bf16(float(0x7f7fffff)), 0x7f80, "past the largest goes to infinity");
  assert.equal(bf16(-Infinity), 0xff80);
  assert.equal(bf16(float(0x00000001)), 0, "the smallest subnormal goes to zero");
});

Deno.test("dtypes: NaN stays NaN in every float dtype", () => {
  for (const dtype of ["F32", "F16", "BF16"] as const) {
    for (const nan of [NaN, float(0x7f800001), float(0xffffffff)]) {
      const [back] = toFloat32(dtype, fromFloat32(dtype, Float32Array.of(nan)));
      assert.ok(Number.isNaN(back), dtype);
    }
  }
});

Deno.test("dtypes: F16 overflows to infinity and keeps subnormals", () => {
  const round = (value: number) => toFloat32("F16", fromFloat32("F16", Float32Array.of(value)))[0];
  assert.equal(round(65504), 65504);
  assert.equal(round(65520), Infinity);
  assert.equal(round(2 ** -24), 2 ** -24);
});
