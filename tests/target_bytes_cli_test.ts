import assert from "node:assert/strict";
import { inTemporaryFolder } from "./support/cli.ts";
import { failsHere } from "./support/in_process.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

Deno.test("--target-bytes: a search ends at the first step whose weights fit", () =>
  inTemporaryFolder(async (folder) => {
    const at = (name: string) => `${folder}/${name}`;
    const tiny = await writeTinyRun(folder);
    const asked = [...tiny, "--target-bytes", "0.14MB", "--preset", "width", "--mlp-group", "3"];
    await pruneHere([...asked, "--out", at("p")]);
    const record = JSON.parse(await Deno.readTextFile(`${folder}/p/run.json`));
    const { bytes, parameters, frontier } = record;
    assert.ok(bytes.pruned <= 0.14e6, `${bytes.pruned} bytes`);
    assert.ok(frontier.length > 1);
    const bytesEach = bytes.dense / parameters.dense;
    assert.ok(
      frontier.at(-2).parameters * bytesEach > 0.14e6,
      "one step fewer would have been enough",
    );

    // a part of a run by its size: as it is, and the whole of it once more
    const part = [tiny[0], "--plan", at("p"), "--target-bytes", "0.14MB"];
    await pruneHere([...part, "--out", at("again")]);
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
