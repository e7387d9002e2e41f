import assert from "node:assert/strict";
import { done, inTemporaryFolder, PUBLISHED } from "./support/cli.ts";
import { failsHere } from "./support/in_process.ts";

Deno.test("--target-bytes: a search ends at the first step whose weights fit", () =>
  inTemporaryFolder(async (folder) => {
    const asked = ["prune", "--target-bytes", "10.2MB", ...PUBLISHED, "--mlp-group", "256"];
    await done([...asked, "--out", "p"], folder);
    const record = JSON.parse(await Deno.readTextFile(`${folder}/p/run.json`));
    const { bytes, parameters, frontier } = record;
    assert.ok(bytes.pruned <= 10.2e6, `${bytes.pruned} bytes`);
    const bytesEach = bytes.dense / parameters.dense;
    const before = frontier.at(-2)?.parameters ?? parameters.dense;
    assert.ok(before * bytesEach > 10.2e6, "one step fewer would have been enough");

    // a part of a run by its size: as it is, and the whole of it once more
    await done(["prune", "--plan", "p", "--target-bytes", "10.2MB", "--out", "again"], folder);
    const again = JSON.parse(await Deno.readTextFile(`${folder}/again/run.json`));
    assert.equal(again.prunedDigest, record.prunedDigest);
  }));

Deno.test("--target-bytes: what makes no sense is refused", () =>
  inTemporaryFolder(async (folder) => {
    const refused = (args: readonly string[], says: RegExp, code: 1 | 2 = 2) =>
      failsHere(["prune", "--out", `${folder}/p`, ...args], code, says);
    await refused(["--target-bytes", "12MB"], /have 11\.0 MB already; it needs fewer/);
    await refused(["--target-bytes", "1MB"], /largest reachable ratio is \d+\.\d+ %/, 1);
    await refused(["--target-bytes", "much"], /needs to be a size such as 200MB/);
    await refused(["--target-bytes", "0MB"], /needs to be a size such as 200MB/);
    await refused(["--target-bytes", "9MB", "--ratio", "5"], /both say where the search ends/);
    await refused(["--target-bytes", "9MB", "--resume"], /begins a run/);
  }));
