import { sameBytes } from "./same_bytes.ts";
import assert from "node:assert/strict";

Deno.test("same bytes: every byte counts, of odd lengths and at odd places, too", () => {
  const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => 3 * i + 1);
  for (const length of [0, 1, 2, 7, 8]) {
    const one = bytes(length);
    const shifted = new Uint8Array([0, ...one]).subarray(1);
    assert.ok(sameBytes(one, shifted));
    for (let i = 0; i < length; i++) assert.ok(!sameBytes(one, shifted.with(i, 0)), `${i}`);
    assert.ok(!sameBytes(one, bytes(length + 1)));
  }
});
