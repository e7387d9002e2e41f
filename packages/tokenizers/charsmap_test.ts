import assert from "node:assert/strict";
import { Charsmap } from "./charsmap.ts";

Deno.test("precompiled_charsmap: one that is none is refused, and one without entries changes nothing", () => {
  for (
    const bytes of [[], [1], [8, 0, 0, 0, 0], [8, 0, 0, 0, 1, 2, 3, 4], [3, 0, 0, 0, 0, 0, 0], [
      0,
      0,
      0,
      0,
    ]]
  ) {
    assert.throws(() => new Charsmap(Uint8Array.from(bytes)), RangeError);
  }
  const empty = new Charsmap(Uint8Array.from([4, 0, 0, 0, 0, 0, 0, 0]));
  assert.equal(empty.normalize("a\r\ne\u0301 \u0000🙂"), "a\r\ne\u0301 \u0000🙂");
});

Deno.test("precompiled_charsmap: places far away are 256 times as far", () => {
  const units = new Uint32Array(512);
  const [wide, value, a] = [1 << 9, 1 << 8, "a".codePointAt(0)!];
  units[0] = 1 << 10 | wide;
  // What stands for "a" has a value, one place on.
  units[256 ^ a] = a | value | 1 << 10;
  units[256 ^ a ^ 1] = 2;
  const texts = new TextEncoder().encode("x\0b\0");
  const bytes = new Uint8Array(4 + units.byteLength + texts.length);
  bytes.set(new Uint8Array(Uint32Array.of(units.byteLength).buffer));
  bytes.set(new Uint8Array(units.buffer), 4);
  bytes.set(texts, 4 + units.byteLength);
  assert.equal(new Charsmap(bytes).normalize("bac"), "bbc");
});
