import { openBackend } from "@lopper/backends";
import { denseShape, headCostInBlocks } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { SuffixScorer } from "@lopper/importance";
import { openModel } from "@lopper/models";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { timedPass } from "./timed_pass.ts";

const LENGTH = 8;
const FIXTURE = new URL("../../tests/fixtures/families/llama-mha", import.meta.url);

Deno.test({
  name:
    "timed pass: all blocks and the head are timed for every token, however few batches there are",
  // The engine keeps a thread pool for the life of the process.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { backend } = await openBackend("cpu", { threads: 1 });
    using model = await openModel(new FileFolder(fileURLToPath(FIXTURE)));
    await using decoder = new Decoder(backend, await LaidOutWeights.load(model));
    const shape = denseShape(decoder.blocks);
    const blocks = shape.length + headCostInBlocks(decoder.architecture, LENGTH);
    for (const count of [1, 3]) {
      const sequences = Array.from(
        { length: count },
        (_, s) => Array.from({ length: LENGTH }, (_, i) => 1 + (3 * i + s) % 9),
      );
      const set = { sequences, length: LENGTH, ignoredLabel: null, digest: "sha256:test" };
      const scorer = new SuffixScorer(decoder, set, { cacheBytes: 0, batchTokens: LENGTH });
      // A clock that goes on by a microsecond for each block that a token goes through.
      const now = () => decoder.blockTokens / 1000;
      const { nll, secondsPerToken } = await timedPass(scorer, shape, now, () => {});
      assert.equal(nll.length, count);
      assert.ok(Math.abs(1e6 * secondsPerToken - blocks) < 1e-6, `${1e6 * secondsPerToken}`);
    }
    await backend[Symbol.asyncDispose]();
  },
});
