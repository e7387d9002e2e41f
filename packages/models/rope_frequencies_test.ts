import assert from "node:assert/strict";
import { ropeFrequencies } from "./rope_frequencies.ts";

/** Six float32 roundings at most lie between a frequency here and the same in float64. */
const RELATIVE = 6 * 2 ** -24;

function plainFrequency(theta: number, headDim: number, i: number): number {
  return Math.exp(-2 * i / headDim * Math.log(theta));
}

function assertClose(actual: number, expected: number, what: string) {
  assert.ok(Math.abs(actual - expected) <= RELATIVE * expected, `${what}: ${actual}, ${expected}`);
}

Deno.test("rope: channel pair i turns by theta^(-2i/d) a token", () => {
  for (const theta of [1e4, 5e5, 1e6]) {
    for (const headDim of [2, 6, 24, 64, 128]) {
      const frequencies = ropeFrequencies({ theta, scaling: null }, headDim);
      assert.equal(frequencies.length, headDim / 2);
      assert.equal(frequencies[0], 1);
      frequencies.forEach((f, i) =>
        assertClose(f, plainFrequency(theta, headDim, i), `theta ${theta}, d ${headDim}, pair ${i}`)
      );
    }
  }
});

Deno.test("rope: linear scaling divides every frequency by the factor", () => {
  const scaled = ropeFrequencies({ theta: 1e4, scaling: { type: "linear", factor: 2.5 } }, 16);
  scaled.forEach((f, i) => assertClose(f, plainFrequency(1e4, 16, i) / 2.5, `pair ${i}`));
});

Deno.test("rope: llama3 scaling keeps short waves, divides long ones and blends those between", () => {
  const scaling = {
    type: "llama3",
    factor: 8,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalMaxPositions: 64,
  } as const;
  const seen = { kept: 0, blended: 0, divided: 0 };
  ropeFrequencies({ theta: 1e4, scaling }, 32).forEach((f, i) => {
    const plain = plainFrequency(1e4, 32, i);
    // Turns in the original context: 4 and more are kept, less than 1 are divided by 8.
    const turns = 64 * plain / (2 * Math.PI);
    let expected: number;
    if (turns > 4) {
      seen.kept += 1;
      expected = plain;
    } else if (turns < 1) {
      seen.divided += 1;
      expected = plain / 8;
    } else {
      seen.blended += 1;
      const share = (turns - 1) / 3;
      expected = share * plain + (1 - share) * plain / 8;
      assert.ok(f < plain && f > plain / 8);
    }
    assertClose(f, expected, `pair ${i}, ${turns} turns`);
  });
  assert.deepEqual(Object.values(seen).filter((count) => count === 0), [], JSON.stringify(seen));
  assert.equal(Object.values(seen).reduce((a, b) => a + b), 16);
});
