import assert from "node:assert/strict";
import { inTemporaryFolder, QUICK, runLopper } from "./support/cli.ts";

Deno.test("where all kinds compete, the dense model is asked of nothing but what they are scored on", () =>
  inTemporaryFolder(async (folder) => {
    const asked = async (out: string, ...settings: string[]): Promise<number> => {
      const args = ["--ratio", "3", "--order", "energy", "--recover", "none", ...settings];
      const { code, stderr } = await runLopper(["prune", "--out", out, ...QUICK, ...args], folder);
      assert.equal(code, 0, stderr);
      const { blockTokens } = JSON.parse(await Deno.readTextFile(`${folder}/${out}/run.json`));
      return blockTokens.beside.predictions;
    };
    const competing = await asked("competing");
    assert.ok(competing > 0);
    assert.equal(await asked("wider", "--width-samples", "3"), competing);
    // Kinds that go one after the other have samples of their own.
    assert.ok(await asked("staged", "--distribution", "50:50:0") > competing);
  }));
