import { UsageError } from "@lopper/core";
import assert from "node:assert/strict";
import { redisAddress } from "./address.ts";
import { SLOTS } from "./places.ts";
import { mySlots } from "./my_slots.ts";

Deno.test("address: what people are shown has no user and no password", () => {
  const label = (word: string) => redisAddress(word).label;
  assert.equal(label("redis://queue.local"), "redis://queue.local");
  assert.equal(label("rediss://me:s3cret@queue.local:6380/2"), "rediss://queue.local:6380/2");
  assert.equal(label("redis://:s3cret@[::1]:6379"), "redis://[::1]:6379");
});

Deno.test("address: what is none is refused by a sentence without its password", () => {
  for (const word of ["queue.local", "http://a:s3cret@b", "redis://", "redis://a:s3cret@b/x", ""]) {
    assert.throws(() => redisAddress(word), (error) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.match(error.message, /^the address of Redis/);
      assert.doesNotMatch(error.message, /s3cret/);
      return true;
    }, word);
  }
});

Deno.test("slots: each is one worker's, of the first ones, too, nobody has two more than another", () => {
  for (const count of [1, 2, 5, SLOTS, SLOTS + 3]) {
    const workers = Array.from({ length: count }, (_, i) => `worker-${i}`);
    const slots = workers.map((id) => [...mySlots(id, workers)]);
    assert.deepEqual(
      slots.flat().sort((a, b) => a - b),
      Array.from({ length: SLOTS }, (_, i) => i),
    );
    for (const first of [4, 8, SLOTS]) {
      const sizes = slots.map((mine) => mine.filter((slot) => slot < first).length);
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `${count}, ${first}: ${sizes}`);
    }
  }
  assert.equal(mySlots("nobody", ["worker-0"]).size, 0);
});

Deno.test("slots: most stay where they are when somebody comes or goes", () => {
  const owners = (workers: readonly string[]) =>
    Array.from(
      { length: SLOTS },
      (_, slot) => workers.find((id) => mySlots(id, workers).has(slot)),
    );
  let moved = 0, all = 0;
  for (let first = 0; first < 10; first++) {
    const workers = Array.from({ length: 5 }, (_, i) => `worker-${first + i}`);
    const [before, after] = [owners(workers), owners(workers.slice(0, -1))];
    moved += before.filter((id, slot) => id !== workers.at(-1) && id !== after[slot]).length;
    all += before.filter((id) => id !== workers.at(-1)).length;
  }
  // Taken in turn, three in four would move.
  assert.ok(moved < all / 2, `${moved} of ${all}`);
});
