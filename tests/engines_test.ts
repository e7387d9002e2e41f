import { sha256 } from "@lopper/core";
import assert from "node:assert/strict";
import { join } from "node:path";
import { inTemporaryFolder } from "./support/cli.ts";
import { doneHere } from "./support/in_process.ts";
import { writeTinyRun } from "./support/tiny_run.ts";

/** What a run on so many engines of WebAssembly decides, writes and measures. */
async function runOn(threads: number, args: readonly string[], out: string) {
  const engine = ["--backend", "wasm", "--threads", String(threads), "--memory", "4GB"];
  // Enough text that there is something to share out.
  const asked = ["--samples", "120", "--ratio", "10", "--recover", "auto", "--out", out];
  await doneHere(["prune", ...args, ...engine, ...asked]);
  const record = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
  const { name, threads: ran } = record.backend;
  assert.deepEqual([name, ran], ["wasm", threads]);
  return {
    weights: await sha256(await Deno.readFile(join(out, "model.safetensors"))),
    plan: await Deno.readTextFile(join(out, "lopper_plan.json")),
    perplexity: record.perplexity,
    recovery: record.recovery,
  };
}

Deno.test({
  name: "engines: a run has the same result on every number of WebAssembly's threads",
  // The engine keeps what it loaded for the life of the process.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await inTemporaryFolder(async (folder) => {
      const args = await writeTinyRun(folder);
      const single = await runOn(1, args, join(folder, "single"));
      assert.ok(single.recovery, "recovery ran");
      assert.deepEqual(await runOn(3, args, join(folder, "shared")), single);
    });
  },
});
