import { settingsToJson } from "@lopper/run";
import assert from "node:assert/strict";
import { inTemporaryFolder } from "./support/cli.ts";
import { failsHere } from "./support/in_process.ts";
import { checkSameFiles, checkSameResult } from "./support/kill.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

const prune = (folder: string, out: string, ...args: string[]) =>
  pruneHere(["--out", `${folder}/${out}`, ...args]);
/** Of what they try to refit, something stays refitted and something does not. */
const SETTINGS = [
  ...["--preset", "width", "--ratio", "8", "--mlp-group", "3", "--width-samples", "2"],
];

/** The journal of the run in `reference`, and where the lines of its refits stand. */
async function recoveryLines(folder: string) {
  const journal = await Deno.readTextFile(`${folder}/reference/journal.jsonl`);
  const all = journal.trimEnd().split("\n");
  const refits = all.flatMap((line, i) => /"type":"(local|refit|recovery)"/.test(line) ? [i] : []);
  return { all, refits };
}

/**
 * What the run in `reference` would have left if it had been killed after these lines of its
 * journal.
 */
async function cutOff(folder: string, out: string, lines: readonly string[]) {
  await Deno.mkdir(`${folder}/${out}`);
  await Deno.copyFile(`${folder}/reference/settings.json`, `${folder}/${out}/settings.json`);
  await Deno.writeTextFile(
    `${folder}/${out}/journal.jsonl`,
    lines.map((text) => text + "\n").join(""),
  );
}

/** Strengths of the ridge that local refits try. */
const LAMBDAS = 3;

const json = async (file: string) => JSON.parse(await Deno.readTextFile(file));

Deno.test("--recover both: recorded, told, and resumed in its middle to the same bytes", () =>
  inTemporaryFolder(async (folder) => {
    const settings = [...await writeTinyRun(folder), ...SETTINGS];
    const stdout = await prune(folder, "reference", "--recover", "both", ...settings);
    assert.match(stdout, /\d+ of \d+ projections refitted: /);
    const { recovery, flags, blockTokens } = await json(`${folder}/reference/run.json`);
    assert.equal(flags.recover, "both");
    const { tried, kept } = recovery;
    assert.ok(0 < kept && kept < tried, JSON.stringify(recovery));
    const { all, refits } = await recoveryLines(folder);
    const ofType = (type: string) =>
      refits.map((i) => JSON.parse(all[i])).filter((line) => line.type === type);
    assert.equal(ofType("refit").length, tried, "every refit along the stream has its line");
    assert.equal(ofType("local").length, LAMBDAS, "and every ridge of the local ones");
    const ways = ["local", "refit"].filter((way) => ofType(way).some((line) => line.kept));
    assert.equal(ofType("recovery").length, ways.length, "and the test of each way that helped");
    const spent = refits.reduce((sum, i) => sum + JSON.parse(all[i]).cost.blockTokens, 0);
    assert.equal(blockTokens.overhead.refits, spent);
    assert.match(stdout, /block-tokens on top of that: .*[\d,]+ for refits/);

    // as if it had been killed between two refits, and after the last of them
    const [firstLocal, , lastLocal, localTest] = refits;
    const cuts = {
      local: firstLocal,
      untested: lastLocal,
      tested: localTest,
      middle: refits[Math.floor(refits.length / 2)],
      end: refits.at(-1)!,
    };
    for (const [out, line] of Object.entries(cuts)) {
      await cutOff(folder, out, all.slice(0, line + 1));
      await prune(folder, out, "--resume");
      await checkSameResult(folder, out);
      const resumed = await json(`${folder}/${out}/run.json`);
      const missing = refits.filter((i) => i > line);
      assert.ok(missing.length > 0 || resumed.blockTokens.overhead.refits === spent, out);
    }

    await prune(folder, "plain", ...settings);
    const plan = (run: string) => Deno.readTextFile(`${folder}/${run}/lopper_plan.json`);
    assert.equal(await plan("plain"), await plan("reference"), "a refit decides nothing else");
    const weights = (run: string) => Deno.readFile(`${folder}/${run}/model.safetensors`);
    const same = (a: Uint8Array, b: Uint8Array) => a.every((byte, i) => byte === b[i]);
    assert.ok(
      !same(await weights("plain"), await weights("reference")),
      "weights change where refits were kept",
    );
  }));

Deno.test("--plan with --recover auto: cut off between two refits, it goes on to the same bytes", () =>
  inTemporaryFolder(async (folder) => {
    const tiny = [...await writeTinyRun(folder), "--width-samples", "2"];
    const at = (name: string) => `${folder}/${name}`;
    await prune(folder, "searched", ...tiny, ...SETTINGS);
    await prune(folder, "reference", ...tiny, "--plan", at("searched"), "--recover", "auto");
    const { all, refits } = await recoveryLines(folder);
    assert.equal(refits.length, all.length, "no search, no other lines");
    assert.ok(refits.length > 2, all.join("\n"));

    const middle = all.slice(0, Math.floor(all.length / 2));
    await cutOff(folder, "resumed", middle);
    await prune(folder, "resumed", "--resume");
    await checkSameFiles(folder, "resumed");
    const journal = await Deno.readTextFile(`${folder}/resumed/journal.jsonl`);
    assert.ok(journal.startsWith(middle.join("\n") + "\n"), "what was known is not tried again");
    // finished, it stays as it is
    assert.match(await prune(folder, "resumed", "--resume"), /pruned/);

    const file = at("searched/lopper_plan.json");
    const resume = (
      out: string,
      ...args: string[]
    ) => ["prune", "--out", at(out), "--resume", ...args];
    await failsHere(
      resume("reference", "--plan", file),
      2,
      /applies .*searched; another --plan/,
    );
    await failsHere(resume("reference", "--ratio", "50"), 2, /another --plan or --ratio needs/);
    await failsHere(resume("searched", "--plan", file), 2, /searches, and --plan has no search/);
    // a plan that was another one then
    await cutOff(folder, "changed", []);
    const { checksum: _, ...changed } = await json(`${folder}/changed/settings.json`);
    const { digest } = changed.plan;
    changed.plan.digest = `sha256:${"0".repeat(64)}`;
    await Deno.writeTextFile(`${folder}/changed/settings.json`, await settingsToJson(changed));
    const now = new RegExp(`the plan was "${changed.plan.digest}" and is now "${digest}"`);
    await failsHere(resume("changed"), 1, now);
  }));

Deno.test("with norms behind blocks a model is pruned and refitted as any other", () =>
  inTemporaryFolder(async (folder) => {
    const [model, ...texts] = await writeTinyRun(folder, "post");
    await prune(folder, "pruned", model, "--ratio", "10", ...texts);
    const { flags, recovery, perplexity } = await json(`${folder}/pruned/run.json`);
    assert.deepEqual([flags.ranking, flags.recover], ["auto", "auto"]);
    assert.ok(recovery.tried > 0, "projections behind norms are fitted");
    assert.ok(perplexity.heldOut.pruned > 1 && perplexity.heldOut.pruned < Infinity);
    // What was written is a model of the family: it is opened, pruned again, and has less.
    await prune(folder, "again", `${folder}/pruned`, "--ratio", "10", ...texts);
    const sizes = await Promise.all(
      [model, `${folder}/pruned`, `${folder}/again`].map(async (path) =>
        (await Deno.stat(`${path}/model.safetensors`)).size
      ),
    );
    assert.ok(sizes[0] > sizes[1] && sizes[1] > sizes[2], String(sizes));
  }));
