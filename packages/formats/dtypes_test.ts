import { type DType, DTYPE_BYTES } from "@lopper/core";
import { expandInto, firstNonFinite, fromFloat32, isHalf, toFloat32 } from "./dtypes.ts";
import assert from "node:assert/strict";
import fc from "fast-check";

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

/** Bit patterns of NaN, and the arrays that hold them. */
const NANS = [
  ["F32", Uint32Array, 0xffc0_0000],
  ["F16", Uint16Array, 0xfe00],
  ["BF16", Uint16Array, 0x7fc0],
] as const;

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

/**
 * The nearest of all finite values of a 16-bit format, the even one of two; beyond half a step past
 * the largest, infinity. Found by search, not by bits.
 */
function nearest(value: number, exponentBits: number): number {
  const fraction = 15 - exponentBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const magnitude = Math.abs(value);
  const exponent = Math.max(1 - bias, Math.floor(Math.log2(magnitude || 2 ** -200)));
  const step = 2 ** (exponent - fraction);
  const below = Math.floor(magnitude / step);
  const rest = magnitude / step - below;
  const rounded = (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below) * step;
  return Math.sign(value) * (rounded >= 2 ** (bias + 1) ? Infinity : rounded);
}

/**
 * float32 by bits, so that subnormals, ties and the ends of the range come as often as the rest.
 */
const anyFloat = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }).map(float),
  // near a tie of BF16, and of F16
  fc.tuple(fc.nat(0xffff), fc.constantFrom(0x7fff, 0x8000, 0x8001)).map(([high, low]) =>
    float(((high << 16) | low) >>> 0)
  ),
  fc.tuple(fc.integer({ min: 0x33000000, max: 0x47ffffff }), fc.constantFrom(0xfff, 0x1000, 0x1001))
    .map(([high, low]) => float((high & ~0x1fff) | low)),
);

for (const [dtype, exponentBits] of [["BF16", 8], ["F16", 5]] as const) {
  Deno.test(`dtypes: ${dtype} is the nearest value, ties to even, subnormals included`, () => {
    fc.assert(
      fc.property(anyFloat, (value) => {
        const [got] = toFloat32(dtype, fromFloat32(dtype, Float32Array.of(value)));
        if (Number.isNaN(value)) assert.ok(Number.isNaN(got));
        else if (!Number.isFinite(value)) assert.equal(got, value);
        else assert.equal(got + 0, nearest(value, exponentBits) + 0, `${value}`);
        const negative = (x: number) => x < 0 || Object.is(x, -0);
        if (!Number.isNaN(value)) assert.equal(negative(got), negative(value));
      }),
      { numRuns: 20_000, seed: 3 },
    );
  });

  Deno.test(`dtypes: all 65,536 values of ${dtype} come back bit for bit, NaN as NaN`, () => {
    const all = new Uint16Array(65_536).map((_, i) => i);
    const values = toFloat32(dtype, new Uint8Array(all.buffer));
    const back = new Uint16Array(fromFloat32(dtype, values).buffer);
    all.forEach((bits, i) => {
      if (Number.isNaN(values[i])) {
        assert.ok(Number.isNaN(toFloat32(dtype, Uint8Array.of(back[i], back[i] >> 8))[0]));
      } else assert.equal(back[i], bits);
    });
  });
}

/**
 * The value of a bit pattern by the formats' definition: 1 sign bit, then the exponent, then the
 * fraction.
 */
function valueOf(bits: number, exponentBits: number): number {
  const fractionBits = 15 - exponentBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits >> 15 === 1 ? -1 : 1;
  const exponent = (bits >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0
    ? sign * fraction * 2 ** (1 - bias)
    : sign * (1 + fraction) * 2 ** (exponent - bias);
}

/**
 * The float32 of that value by its bits, from whole numbers where it is denormal: those an engine
 * in this process may have switched off. Float16 has no value that is denormal in float32.
 */
function float32Bits(dtype: "BF16" | "F16", bits: number, exponentBits: number): number {
  return dtype === "BF16"
    ? bits * 2 ** 16
    : bitsOf(Float32Array.of(valueOf(bits, exponentBits)))[0];
}

function bitsOf({ buffer, byteOffset, length }: Float32Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length);
}

for (const [dtype, exponentBits] of [["BF16", 8], ["F16", 5]] as const) {
  Deno.test(`dtypes: all 65,536 patterns of ${dtype} expand to their values, wherever they lie`, () => {
    const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const decoded = toFloat32(dtype, new Uint8Array(all.buffer));
    const decodedBits = bitsOf(decoded);
    for (const start of [0, 1]) {
      // both views begin inside a buffer, on an odd value
      const halves = new Uint16Array(all.length + 1).subarray(start);
      halves.set(all.subarray(start));
      const whole = new Float32Array(all.length + 8);
      const out = whole.subarray(3, 3 + halves.length);
      expandInto(dtype, halves, out);
      const found = bitsOf(out);
      halves.forEach((bits, i) => {
        if (Number.isNaN(valueOf(bits, exponentBits))) {
          assert.ok(Number.isNaN(out[i]) && Number.isNaN(decoded[bits]), `${dtype} ${bits}`);
          return;
        }
        assert.equal(found[i], float32Bits(dtype, bits, exponentBits), `${dtype} ${bits}`);
        assert.equal(decodedBits[bits], found[i]);
      });
      assert.ok(
        [...whole.subarray(0, 3), ...whole.subarray(3 + halves.length)].every((x) => x === 0),
      );
    }
    assert.throws(() => expandInto(dtype, all, new Float32Array(65_535)), RangeError);
    assert.throws(() => expandInto(dtype, all, new Float32Array(65_537)), RangeError);
  });

  Deno.test(`dtypes: NaN and infinity are found in ${dtype}, and nothing else is`, () => {
    for (let bits = 0; bits < 65_536; bits++) {
      const finite = Number.isFinite(valueOf(bits, exponentBits));
      assert.equal(firstNonFinite(dtype, Uint16Array.of(0, 0x8001, bits, bits)), finite ? -1 : 2);
    }
  });
}

Deno.test("dtypes: NaN and infinity are found in F32, and nothing else is", () => {
  fc.assert(
    fc.property(anyFloat, (value) => {
      const words = new Uint32Array(Float32Array.of(1, value).buffer);
      assert.equal(firstNonFinite("F32", words), Number.isFinite(value) ? -1 : 1);
    }),
    {
      numRuns: 5000,
      seed: 4,
      examples: [[NaN], [Infinity], [-Infinity], [float(0x7f7fffff)], [float(0xff800001)]],
    },
  );
  assert.equal(firstNonFinite("F32", new Uint32Array(0)), -1);
});

Deno.test("dtypes: a NaN is found wherever it stands, and the first of two", () => {
  const places = [0, 1, 2, 1023, 1024, 1025, 2047, 2048, 4095, 4100];
  for (const [dtype, Bits, nan] of NANS) {
    for (const first of [0, 1]) {
      const bits = new Bits(4102).subarray(first);
      assert.equal(firstNonFinite(dtype, bits), -1);
      for (const place of places.toReversed()) {
        bits[place] = nan;
        assert.equal(firstNonFinite(dtype, bits), place, `${dtype} from ${first} on`);
      }
    }
  }
});

Deno.test("dtypes: two dtypes are halves", () => {
  const halves = (Object.keys(DTYPE_BYTES) as DType[]).filter(isHalf);
  assert.deepEqual(halves.sort(), ["BF16", "F16"]);
});

Deno.test("dtypes: F32 is copied bit for bit, and encoding never shares memory with its input", () => {
  const values = Float32Array.of(0, -0, 1, float(1), -Infinity, 3.4e38);
  for (const dtype of ["F32", "F16", "BF16"] as const) {
    const part = values.subarray(1, 4);
    const before = [...values];
    fromFloat32(dtype, part).fill(255);
    assert.deepEqual([...values], before);
    assert.equal(fromFloat32(dtype, part).byteLength, 3 * DTYPE_BYTES[dtype]);
  }
  const part = values.subarray(2);
  assert.deepEqual([...toFloat32("F32", fromFloat32("F32", part))], [...part]);
});

Deno.test("dtypes: wide numbers are rounded to the nearest float32, and nothing gives nothing", () => {
  const of = (
    dtype: DType,
    array: { buffer: ArrayBufferLike },
  ) => [...toFloat32(dtype, new Uint8Array(array.buffer))];
  assert.deepEqual(of("F64", Float64Array.of(0.1, 1e300)), [Math.fround(0.1), Infinity]);
  assert.deepEqual(of("I64", BigInt64Array.of(-(2n ** 63n), 2n ** 24n + 1n)), [
    -(2 ** 63),
    2 ** 24,
  ]);
  assert.deepEqual(of("U64", BigUint64Array.of(2n ** 64n - 1n)), [2 ** 64]);
  assert.deepEqual(of("U32", Uint32Array.of(0xffffffff)), [2 ** 32]);
  for (const dtype of Object.keys(DTYPE_BYTES) as DType[]) {
    assert.equal(toFloat32(dtype, new Uint8Array(0)).length, 0);
  }
});
