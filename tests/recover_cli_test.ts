import assert from "node:assert/strict";
import { inTemporaryFolder, QUICK, runLopper } from "./support/cli.ts";
import { checkSameResult } from "./support/kill.ts";

const prune = async (folder: string, ...args: string[]) => {
  const { code, stdout, stderr } = await runLopper(["prune", ...args], folder);
  assert.equal(code, 0, stderr);
  return stdout;
};
const json = async (file: string) => JSON.parse(await Deno.readTextFile(file));

Deno.test("--recover auto: recorded, told, and resumed in its middle to the same bytes", () =>
  inTemporaryFolder(async (folder) => {
    const settings = [...QUICK, "--preset", "width", "--ratio", "6"];
    const stdout = await prune(folder, "--out", "reference", "--recover", "auto", ...settings);
    assert.match(stdout, /(\d+ of \d+ projections repaired|nothing repaired): /);
    const { recovery, flags } = await json(`${folder}/reference/run.json`);
    assert.equal(flags.recover, "auto");
    assert.ok(recovery.tried > 0, JSON.stringify(recovery));
    const all = (await Deno.readTextFile(`${folder}/reference/journal.jsonl`)).trimEnd().split(
      "\n",
    );
    const repairs = all.flatMap((line, i) => /"type":"(repair|verdict)"/.test(line) ? [i] : []);
    assert.equal(
      repairs.length,
      recovery.tried + (recovery.helped > 0 ? 1 : 0),
      "every repair that was tried has its line",
    );

    // as if it had been killed between two repairs, and after the last of them
    const cuts = { middle: repairs[Math.floor(repairs.length / 2)], end: repairs.at(-1)! };
    for (const [out, line] of Object.entries(cuts)) {
      await Deno.mkdir(`${folder}/${out}`);
      await Deno.copyFile(`${folder}/reference/settings.json`, `${folder}/${out}/settings.json`);
      const kept = all.slice(0, line + 1).map((text) => text + "\n").join("");
      await Deno.writeTextFile(`${folder}/${out}/journal.jsonl`, kept);
      await prune(folder, "--out", out, "--resume");
      await checkSameResult(folder, out);
    }

    await prune(folder, "--out", "plain", ...settings);
    const plan = (run: string) => Deno.readTextFile(`${folder}/${run}/lopper_plan.json`);
    assert.equal(await plan("plain"), await plan("reference"), "a repair decides nothing else");
    const weights = (run: string) => Deno.readFile(`${folder}/${run}/model.safetensors`);
    const same = (a: Uint8Array, b: Uint8Array) => a.every((byte, i) => byte === b[i]);
    assert.equal(
      same(await weights("plain"), await weights("reference")),
      recovery.kept === 0,
      "weights change where repairs were kept",
    );
  }));
