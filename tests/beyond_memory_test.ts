import { InsufficientMemoryError } from "@lopper/core";
import type { RunFlags } from "@lopper/run";
import assert from "node:assert/strict";
import { inTemporaryFolder } from "./support/cli.ts";
import { sharedRun, type SharedRunOptions } from "./support/shared_run.ts";
import { writeTinyRun } from "./support/tiny_run.ts";

const RUNS: Readonly<Record<string, Partial<RunFlags>>> = {
  "recovery along the stream": { recover: "auto" },
  "local recovery, and along the stream from there": { recover: "both" },
  "a ranking by equations": { recover: "none", ranking: "compensated" },
};

for (const [name, flags] of Object.entries(RUNS)) {
  Deno.test(`beyond memory: with the least of it a run writes the same: ${name}`, () =>
    inTemporaryFolder(async (folder) => {
      const [model, , calibration, , heldOut] = await writeTinyRun(folder);
      // Batches of one sequence, which cannot be smaller.
      const sizes = { samples: 4, widthSamples: 4, seqLen: 16, batchTokens: 16, mlpGroup: 8 };
      const options = {
        ...{ model, calibration, heldOut },
        flags: { ...sizes, ratio: 20, ranking: "energy", ...flags },
      } as const;
      const roomy = await sharedRun(options);
      const scratch = `${folder}/scratch`;
      await Deno.mkdir(scratch);
      const [most, least] = [await withLeast(options), await withLeast({ ...options, scratch })];
      assert.ok(least.bytes < most.bytes, `${least.bytes} of ${most.bytes}`);
      for (const { run } of [most, least]) {
        assert.deepEqual(run.files, roomy.files);
        assert.deepEqual(run.journal, roomy.journal);
      }
      const told = (notes: readonly string[]) =>
        notes.some((note) => /find no room in memory: a file in the run's folder/.test(note));
      assert.deepEqual([roomy, most.run, least.run].map(({ notes }) => told(notes)), [
        false,
        false,
        true,
      ]);
      assert.deepEqual([...Deno.readDirSync(scratch)], []);
    }));
}

/** A run with the least memory with which it begins. */
async function withLeast(options: SharedRunOptions) {
  for (let bytes = 1;;) {
    try {
      return { bytes, run: await sharedRun({ ...options, memory: bytes }) };
    } catch (error) {
      assert.ok(error instanceof InsufficientMemoryError, String(error));
      bytes = Math.max(bytes + 1, Math.ceil(error.needed));
    }
  }
}
