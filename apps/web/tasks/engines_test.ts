import { InsufficientMemoryError } from "@lopper/core";
import assert from "node:assert/strict";
import { fittingThreads } from "./engines.ts";

/** Batches of 2048 tokens up to some threads, smaller ones up to others, and no room for more. */
function room(whole: number, small: number) {
  return (threads: number) => {
    if (threads <= whole) return Promise.resolve(2048);
    if (threads <= small) return Promise.resolve(1024);
    return Promise.reject(new InsufficientMemoryError("too many", 2, 1));
  };
}

Deno.test("engines: as many threads as there are cores, or half of them, as long as batches stay", async () => {
  assert.equal(await fittingThreads(8, room(8, 8)), 8);
  assert.equal(await fittingThreads(8, room(7, 8)), 4);
  assert.equal(await fittingThreads(8, room(3, 5)), 2);
  assert.equal(await fittingThreads(6, room(1, 3)), 1);
  assert.equal(await fittingThreads(1, room(1, 1)), 1);
  await assert.rejects(fittingThreads(8, room(0, 0)), InsufficientMemoryError);
  const broken = new TypeError("no memory was asked for");
  const later = (threads: number) => threads === 1 ? Promise.resolve(1) : Promise.reject(broken);
  await assert.rejects(fittingThreads(8, later), broken);
});
