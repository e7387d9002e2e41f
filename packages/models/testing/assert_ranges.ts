import type { Model } from "../model.ts";
import assert from "node:assert/strict";

/**
 * Fails where a range of bytes of a weight is not that of the whole tensor, at its start, at its
 * end or across what lies in other places of the file, or where one beyond its end is read.
 * @param inside a range, from and how many, somewhere in the middle.
 */
export async function assertRangesOfWeights(model: Model, inside: readonly [number, number]) {
  for (const { tensor } of model.weights) {
    const whole = await model.store.readBytes(tensor.name);
    assert.equal(whole.length, tensor.byteLength);
    for (const [from, length] of [[0, 1], [1, 3], inside, [tensor.byteLength - 5, 5], [7, 0]]) {
      if (from + length > tensor.byteLength) continue;
      assert.deepEqual(
        await model.store.readBytes(tensor.name, from, length),
        whole.subarray(from, from + length),
        `${length} bytes from ${from} of ${tensor.name}`,
      );
    }
    await assert.rejects(model.store.readBytes(tensor.name, 1, tensor.byteLength), RangeError);
  }
}
