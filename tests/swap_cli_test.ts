import { runRecordToJson } from "@lopper/run";
import assert from "node:assert/strict";
import { done, inTemporaryFolder, QUICK } from "./support/cli.ts";
import { failsHere } from "./support/in_process.ts";
import { checkSameResult } from "./support/kill.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

/** Steps of unlike sizes, so that the search overshoots and takes what it would not take again. */
const SETTINGS = [
  ...["--samples", "6", "--width-samples", "2", "--recover", "none"],
  ...["--distribution", "10:45:45", "--mlp-group", "2"],
  // What the result is measured by, too.
  ...["--criterion", "perplexity"],
];

const json = async (file: string) => JSON.parse(await Deno.readTextFile(file));

async function sameFiles(a: string, b: string) {
  for (const file of ["lopper_plan.json", "config.json", "model.safetensors"]) {
    const [one, other] = await Promise.all([a, b].map((run) => Deno.readFile(`${run}/${file}`)));
    assert.ok(one.every((byte, i) => byte === other[i]), `${file} of ${a} and ${b}`);
  }
}

Deno.test("--swap auto: recorded, told, resumed to the same bytes, taken further, and cut where it was swapped", () =>
  inTemporaryFolder(async (folder) => {
    const settings = [...await writeTinyRun(folder), ...SETTINGS];
    const at = (name: string) => `${folder}/${name}`;
    const prune = (out: string, ...args: string[]) => pruneHere(["--out", at(out), ...args]);
    const stdout = await prune("reference", "--ratio", "25", "--swap", "auto", ...settings);
    assert.match(
      stdout,
      /[1-9]\d* of \d+ swaps kept after step \d+: perplexity on the calibration text \S+ to \S+ \(−/,
    );
    const record = await json(`${folder}/reference/run.json`);
    assert.equal(record.flags.swap, "auto");
    const [phase, ...others] = record.swaps;
    assert.deepEqual([phase.steps, others], [record.steps, []]);
    const last = record.frontier.at(-1);
    const { kept } = phase;
    assert.ok(kept.length > 0 && kept.length < phase.tried && phase.blockTokens > 0);
    assert.equal(record.ratio, kept.at(-1).ratio);
    assert.equal(record.parameters.pruned, kept.at(-1).parameters);
    assert.ok(
      record.ratio >= 25 && record.ratio < last.ratio,
      "what was beyond the target is back",
    );
    const off = phase.perplexity.after / record.perplexity.calibration.pruned - 1;
    assert.ok(Math.abs(off) < 1e-5 && phase.perplexity.after < phase.perplexity.before);
    const page = await Deno.readTextFile(`${folder}/reference/report.html`);
    assert.match(page, /swaps of single blocks and groups/);

    // as if it had been killed between two swaps
    const all = (await Deno.readTextFile(`${folder}/reference/journal.jsonl`)).trimEnd().split(
      "\n",
    );
    const swaps = all.flatMap((line, i) => /"type":"swaps?"/.test(line) ? [i] : []);
    assert.equal(swaps.length, phase.tried + 1, "every swap that was tried has its line");
    await Deno.mkdir(`${folder}/next`);
    await Deno.copyFile(`${folder}/reference/settings.json`, `${folder}/next/settings.json`);
    const left = all.slice(0, swaps[1]).map((text) => text + "\n").join("");
    await Deno.writeTextFile(`${folder}/next/journal.jsonl`, left + all[swaps[1]].slice(0, 40));
    await prune("next", "--resume");
    await checkSameResult(folder, "next");

    // the plan of the run is what it wrote; the part that reaches more than that is what the steps
    // left
    const cut = (out: string, plan: string, ...args: string[]) =>
      prune(out, settings[0], "--plan", at(plan), ...args);
    await cut("again", "reference");
    await sameFiles(`${folder}/again`, `${folder}/reference`);
    await prune("unswapped", "--ratio", "25", ...settings);
    const between = String((record.ratio + last.ratio) / 2);
    await cut("part", "reference", "--ratio", between);
    await sameFiles(`${folder}/part`, `${folder}/unswapped`);
    assert.deepEqual((await json(`${folder}/part/run.json`)).swaps, []);

    await prune("next", "--resume", "--ratio", "30");
    const further = await json(`${folder}/next/run.json`);
    // who was resumed did some of it again
    assert.deepEqual({ ...further.swaps[0], blockTokens: 0 }, { ...phase, blockTokens: 0 });
    assert.ok(further.ratio >= 30 && further.steps > record.steps && further.swaps.length === 2);
    assert.ok(further.frontier[record.steps].ratio > record.ratio);
    await cut("before", "next", "--ratio", "25");
    await sameFiles(`${folder}/before`, `${folder}/reference`);

    const text = await Deno.readTextFile(`${folder}/reference/run.json`);
    const changed = text.replace(/"restored":\[\d+,/, '"restored":[');
    assert.notEqual(changed, text);
    const { checksum: _, ...sealedAnew } = JSON.parse(changed);
    await Deno.writeTextFile(`${folder}/reference/run.json`, await runRecordToJson(sealedAnew));
    const plan = ["prune", settings[0], "--plan", at("reference"), "--out", at("x")];
    await failsHere(plan, 1, /different things of the swaps after step \d+/);
    await Deno.remove(`${folder}/reference/journal.jsonl`);
    await failsHere(plan, 1, /run\.json: swap 1 after step \d+ of its frontier: /);
  }));

Deno.test("--swap auto is refused where layers stay alike, and where nothing is searched", () =>
  inTemporaryFolder(async (folder) => {
    const refused = (message: RegExp, ...args: string[]) =>
      failsHere(["prune", "--out", `${folder}/p`, ...args, ...QUICK], 2, message);
    await refused(
      /--uniform keeps all of them alike; leave out one/,
      "--swap",
      "auto",
      "--uniform",
    );
    await refused(/--plan has none; leave out one/, "--swap", "auto", "--plan", "plan.json");
    await refused(/Allowed choices are none, auto/, "--swap", "all");
    const stdout = await done(
      ["prune", "--dry-run", "--swap", "auto", "--preset", "heads", ...QUICK, "--ratio", "1"],
      folder,
    );
    assert.match(stdout, /then up to 12 swaps, which come on top/);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));
