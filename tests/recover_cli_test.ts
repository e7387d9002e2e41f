import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { HELD_OUT_TEXT } from "../packages/demo-model/mod.ts";
import { settingsToJson } from "../packages/model-io/mod.ts";
import { fails, inTemporaryFolder, QUICK, runLopper } from "./support/cli.ts";
import { checkSameFiles, checkSameResult } from "./support/kill.ts";

const prune = async (folder: string, ...args: string[]) => {
  const { code, stdout, stderr } = await runLopper(["prune", ...args], folder);
  assert.equal(code, 0, stderr);
  return stdout;
};
/** Settings for a few seconds: the text to measure on is short, too. */
async function quick(folder: string): Promise<readonly string[]> {
  const text = await Deno.readTextFile(fileURLToPath(HELD_OUT_TEXT));
  await Deno.writeTextFile(`${folder}/held_out.txt`, text.slice(0, 1500));
  return [...QUICK, "--held-out", "held_out.txt"];
}

/** The journal of the run in `reference`, and where the lines of its repairs stand. */
async function repairLines(folder: string) {
  const journal = await Deno.readTextFile(`${folder}/reference/journal.jsonl`);
  const all = journal.trimEnd().split("\n");
  const repairs = all.flatMap((line, i) => /"type":"(repair|verdict)"/.test(line) ? [i] : []);
  return { all, repairs };
}

/** What the run in `reference` would have left if it had been killed after these lines of its journal. */
async function cutOff(folder: string, out: string, lines: readonly string[]) {
  await Deno.mkdir(`${folder}/${out}`);
  await Deno.copyFile(`${folder}/reference/settings.json`, `${folder}/${out}/settings.json`);
  await Deno.writeTextFile(
    `${folder}/${out}/journal.jsonl`,
    lines.map((text) => text + "\n").join(""),
  );
}

const json = async (file: string) => JSON.parse(await Deno.readTextFile(file));

Deno.test("--recover auto: recorded, told, and resumed in its middle to the same bytes", () =>
  inTemporaryFolder(async (folder) => {
    const settings = [...await quick(folder), "--preset", "width", "--ratio", "6"];
    const stdout = await prune(folder, "--out", "reference", "--recover", "auto", ...settings);
    assert.match(stdout, /(\d+ of \d+ projections repaired|nothing repaired): /);
    const { recovery, flags, blockTokens } = await json(`${folder}/reference/run.json`);
    assert.equal(flags.recover, "auto");
    assert.ok(recovery.tried > 0, JSON.stringify(recovery));
    const { all, repairs } = await repairLines(folder);
    assert.equal(
      repairs.length,
      recovery.tried + (recovery.helped > 0 ? 1 : 0),
      "every repair that was tried has its line",
    );
    const spent = repairs.reduce((sum, i) => sum + JSON.parse(all[i]).cost.blockTokens, 0);
    assert.equal(blockTokens.beside.repairs, spent);
    assert.match(stdout, /block-tokens on top of that: .*[\d,]+ for repairs/);

    // as if it had been killed between two repairs, and after the last of them
    const cuts = { middle: repairs[Math.floor(repairs.length / 2)], end: repairs.at(-1)! };
    for (const [out, line] of Object.entries(cuts)) {
      await cutOff(folder, out, all.slice(0, line + 1));
      await prune(folder, "--out", out, "--resume");
      await checkSameResult(folder, out);
      const resumed = await json(`${folder}/${out}/run.json`);
      const missing = repairs.filter((i) => i > line);
      assert.ok(missing.length > 0 || resumed.blockTokens.beside.repairs === spent, out);
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

Deno.test("--plan with --recover auto: cut off between two repairs, it goes on to the same bytes", () =>
  inTemporaryFolder(async (folder) => {
    const settings = await quick(folder);
    await prune(folder, "--out", "searched", "--preset", "width", "--ratio", "6", ...settings);
    await prune(folder, "--out", "reference", "--plan", "searched", "--recover", "auto");
    const { all, repairs } = await repairLines(folder);
    assert.equal(repairs.length, all.length, "no search, no other lines");
    assert.ok(repairs.length > 2, all.join("\n"));

    const middle = all.slice(0, Math.floor(all.length / 2));
    await cutOff(folder, "resumed", middle);
    await prune(folder, "--out", "resumed", "--resume");
    await checkSameFiles(folder, "resumed");
    const journal = await Deno.readTextFile(`${folder}/resumed/journal.jsonl`);
    assert.ok(journal.startsWith(middle.join("\n") + "\n"), "what was known is not tried again");
    // finished, it stays as it is
    assert.match(await prune(folder, "--out", "resumed", "--resume"), /pruned/);

    const file = "searched/lopper_plan.json";
    const resume = (out: string, ...args: string[]) => ["prune", "--out", out, "--resume", ...args];
    await fails(
      resume("reference", "--plan", file),
      folder,
      2,
      /applies .*searched; another --plan/,
    );
    await fails(resume("reference", "--ratio", "50"), folder, 2, /another --plan or --ratio needs/);
    await fails(
      resume("searched", "--plan", file),
      folder,
      2,
      /searches, and --plan has no search/,
    );
    // a plan that was another one then
    await cutOff(folder, "changed", []);
    const { checksum: _, ...changed } = await json(`${folder}/changed/settings.json`);
    const { digest } = changed.plan;
    changed.plan.digest = `sha256:${"0".repeat(64)}`;
    await Deno.writeTextFile(`${folder}/changed/settings.json`, await settingsToJson(changed));
    const now = new RegExp(`the plan was "${changed.plan.digest}" and is now "${digest}"`);
    await fails(resume("changed"), folder, 1, now);
  }));
