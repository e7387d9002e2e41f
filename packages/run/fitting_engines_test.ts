import type { Backend, BackendDescription } from "@lopper/backends";
import { InsufficientMemoryError } from "@lopper/core";
import { openModel } from "@lopper/models";
import { runFlags } from "@lopper/run";
import assert from "node:assert/strict";
import { Random, tinyModel } from "../../tests/support/tiny_models.ts";
import { fitsInMemory, keepsBatches, openFitting } from "./fitting_engines.ts";

/** Opens nothing; tells how often it was asked for how many threads, and what was closed. */
function opener(cores: number) {
  const log: string[] = [];
  const open = (threads = cores): Promise<Backend> => {
    log.push(`open ${threads}`);
    return Promise.resolve({
      description: { threads, engines: threads } as BackendDescription,
      compile: () => Promise.reject(new Error("nothing is run")),
      [Symbol.asyncDispose]: () => Promise.resolve(void log.push(`close ${threads}`)),
    });
  };
  return { open, log };
}

Deno.test("engines: as many as there are cores, or half of them, as long as they fit", async () => {
  const found = async (cores: number, most: number) => {
    const { open, log } = opener(cores);
    const { description } = await openFitting(open, ({ engines }) => engines <= most);
    return [description.engines, log.join(", ")];
  };
  assert.deepEqual(await found(8, 8), [8, "open 8"]);
  assert.deepEqual(await found(8, 7), [4, "open 8, close 8, open 4"]);
  assert.deepEqual(await found(6, 2), [1, "open 6, close 6, open 1"]);
  assert.deepEqual(await found(1, 0), [1, "open 1"]);
});

Deno.test("engines: memory that is short says no, another fault is one", () => {
  const refusing = (error: Error) => () => {
    throw error;
  };
  assert.equal(fitsInMemory(() => true), true);
  assert.equal(fitsInMemory(refusing(new InsufficientMemoryError("too many", 2, 1))), false);
  assert.throws(() => fitsInMemory(refusing(new TypeError("broken"))), TypeError);
});

Deno.test("engines: a run takes no more than leave its batches as they are with one", async () => {
  using model = await openModel(await tinyModel(new Random(3)));
  const flags = runFlags(model.architecture, { samples: 400, seqLen: 64 });
  const wasm = { name: "wasm", attentionOp: "attention", memoryLimitBytes: 2 ** 32 };
  const keeps = (engines: number, bytes: number) => {
    const tools = { memory: () => bytes, store: { settings: null } };
    const description = { ...wasm, threads: engines, engines } as BackendDescription;
    return keepsBatches(model, flags, tools)(description);
  };
  assert.equal(keeps(8, 4e9), true);
  assert.equal(keeps(8, 1e9), false);
  assert.equal(keeps(2, 1e9), true);
  assert.throws(() => keeps(1, 1e8), InsufficientMemoryError);
});
