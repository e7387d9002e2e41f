import assert from "node:assert/strict";
import { inTemporaryFolder } from "./support/cli.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

Deno.test("where all kinds compete, the dense model is asked of nothing but what they are scored on", () =>
  inTemporaryFolder(async (folder) => {
    const settings = [
      ...[...await writeTinyRun(folder), "--width-samples", "2", "--mlp-group", "3"],
      ...["--ratio", "10", "--ranking", "energy", "--recover", "none"],
    ];
    const asked = async (out: string, ...more: string[]): Promise<number> => {
      await pruneHere(["--out", `${folder}/${out}`, ...settings, ...more]);
      const { blockTokens } = JSON.parse(await Deno.readTextFile(`${folder}/${out}/run.json`));
      return blockTokens.overhead.predictions;
    };
    const competing = await asked("competing");
    assert.ok(competing > 0);
    assert.equal(await asked("wider", "--width-samples", "3"), competing);
    // Kinds that go one after the other have samples of their own.
    assert.ok(await asked("staged", "--distribution", "50:50:0") > competing);
  }));
