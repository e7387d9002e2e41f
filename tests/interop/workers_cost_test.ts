import { CALIBRATION_TEXT, DEMO_MODEL } from "@lopper/demo-model";
import type { RunFlags } from "@lopper/run";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder } from "../support/cli.ts";
import { sharedRun, Timeline, workersHere } from "../support/shared_run.ts";

const [MODEL, CALIBRATION] = [DEMO_MODEL, CALIBRATION_TEXT].map((url) => fileURLToPath(url));
/** The most that five workers may compute over what one process does. */
const OVERHEAD = 0.1;

/** Searches that share out much of their work, and little. */
const SEARCHES: Readonly<Record<string, Partial<RunFlags>>> = {
  "the usual search": { ratio: 6 },
  "races of everyone": { ratio: 1, fastWithout: ["lazy", "proxies", "threshold"] },
};

for (const [search, given] of Object.entries(SEARCHES)) {
  Deno.test(`workers: what five cost, of the embedded model by ${search}`, () =>
    inTemporaryFolder(async (folder) => {
      // Held-out text is JSON lines here, as the other is.
      const heldOut = `${folder}/h.jsonl`;
      const lines = (await Deno.readTextFile(CALIBRATION)).split("\n");
      await Deno.writeTextFile(heldOut, lines.slice(0, 5).join("\n"));
      const flags = { ...given, recover: "none" } as const;
      const options = { model: MODEL, calibration: CALIBRATION, heldOut, flags };
      const alone = await sharedRun(options);
      const ends = new Map<number, number>();
      for (const count of [1, 2]) {
        await using queue = new Timeline(workersHere(count, MODEL), count);
        await sharedRun(options, queue);
        ends.set(count, queue.end);
      }
      await using queue = new Timeline(workersHere(5, MODEL), 5);
      const shared = await sharedRun(options, queue);
      ends.set(5, queue.end);
      assert.deepEqual(shared.files, alone.files);
      assert.deepEqual(shared.journal, alone.journal);
      const more = shared.blockTokens / alone.blockTokens - 1;
      console.log(
        `${search}: ${Math.round(alone.blockTokens)} block-tokens without workers, ` +
          `${Math.round(shared.blockTokens)} with five, ${(100 * more).toFixed(2)} % more; ` +
          `the longest way of a run with one, two and five is ${
            [...ends.values()].map((end) => Math.round(end)).join(", ")
          } block-tokens`,
      );
      assert.ok(more <= OVERHEAD, `${more}`);
    }));
}
