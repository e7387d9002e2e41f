import assert from "node:assert/strict";
import { inTemporaryFolder, runLopper } from "../support/cli.ts";

const read = (path: string) => Deno.readTextFile(path);

Deno.test("defaults: a run ranks by activations, refits, and says what that gained", () =>
  inTemporaryFolder(async (folder) => {
    // enough text to keep some aside
    const args = ["--samples", "12", "--width-samples", "2", "--seq-len", "64", "--ratio", "15"];
    const { code, stdout, stderr } = await runLopper(["prune", "--out", "p", ...args], folder);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /\n {2}MLP channels by .+\n/);
    assert.match(stdout, /\n {2}\d+ of \d+ projections refitted: perplexity on validation text/);
    const record = JSON.parse(await read(`${folder}/p/run.json`));
    const { preset, ranking, recover, distribution } = record.flags;
    assert.deepEqual([preset, ranking, recover, distribution], ["lopper", "auto", "auto", "auto"]);
    assert.ok(record.recovery.kept > 0);
    assert.ok(record.recovery.perplexity.after < record.recovery.perplexity.before);

    // a run's folder is applied with its refits, a plan file without
    for (const [out, plan] of [["again", "p"], ["plain", "p/lopper_plan.json"]]) {
      const applied = await runLopper(["prune", "--plan", plan, "--out", out], folder);
      assert.equal(applied.code, 0, applied.stderr);
    }
    const prunedDigest = async (run: string) =>
      JSON.parse(await read(`${folder}/${run}/run.json`)).prunedDigest;
    assert.equal(await prunedDigest("again"), record.prunedDigest);
    const plain = JSON.parse(await read(`${folder}/plain/run.json`));
    assert.equal(plain.recovery, null);
    assert.equal(plain.parameters.pruned, record.parameters.pruned);
    assert.notEqual(plain.prunedDigest, record.prunedDigest);
  }));
