import { CheckpointFormatError } from "@lopper/core";
import { BlobSource, type ByteSource, MemorySource } from "./byte_source.ts";
import assert from "node:assert/strict";
import fc from "fast-check";

const BYTES = Uint8Array.from({ length: 100 }, (_, i) => i);
const SOURCES: readonly [string, () => ByteSource][] = [
  ["memory", () => new MemorySource("f", BYTES)],
  ["blob", () => new BlobSource("f", new Blob([BYTES]))],
];

for (const [kind, open] of SOURCES) {
  Deno.test(`byte source in ${kind}: reads exactly the bytes that are asked for`, async () => {
    const source = open();
    assert.equal(source.size, 100);
    await fc.assert(
      fc.asyncProperty(fc.nat(100), fc.nat(100), async (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        assert.deepEqual(await source.read(from, to - from), BYTES.slice(from, to));
      }),
      { seed: 1 },
    );
    source.close();
  });

  Deno.test(`byte source in ${kind}: a range that is not within the file is named`, async () => {
    const source = open();
    const outside = [[99, 2], [101, 0], [-1, 2], [0, 101], [0, 2 ** 60], [0.5, 1], [0, NaN]];
    for (const [offset, length] of outside) {
      // A throw in place of a rejected promise would pass by a caller's catch().
      const promise = source.read(offset, length);
      await assert.rejects(promise, (error) => {
        assert.ok(error instanceof CheckpointFormatError, String(error));
        assert.deepEqual(error.location, { file: "f", offset });
        assert.ok(
          error.message.includes(`${length} bytes are needed from there and the file has 100`),
          error.message,
        );
        return true;
      });
    }
  });
}
