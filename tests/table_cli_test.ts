import assert from "node:assert/strict";
import { inTemporaryFolder } from "./support/cli.ts";
import { doneHere, failsHere } from "./support/in_process.ts";
import { checkSameResult } from "./support/kill.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

/** On little text, without trials of rankings. */
const SETTINGS = [
  ...["--search", "table", "--ranking", "energy", "--recover", "both"],
  ...["--samples", "8", "--ratio", "12", "--mlp-group", "3"],
];
const json = async (file: string) => JSON.parse(await Deno.readTextFile(file));

Deno.test("--search table: its steps are parts of one plan, and it is resumed anywhere to the same bytes", () =>
  inTemporaryFolder(async (folder) => {
    const at = (name: string) => `${folder}/${name}`;
    const tiny = await writeTinyRun(folder);
    const stdout = await pruneHere(["--out", at("reference"), ...tiny, ...SETTINGS]);
    assert.match(stdout, /projections refitted/);
    const record = await json(at("reference/run.json"));
    assert.equal(record.flags.search, "table");
    const { frontier } = record;
    assert.ok(frontier.length > 2, "a step every 2.5 %");
    assert.ok(record.ratio >= 12);

    const journal = (await Deno.readTextFile(at("reference/journal.jsonl"))).trimEnd().split("\n");
    const cells = journal.filter((line) => /"type":"score","step":0,/.test(line)).length;
    assert.ok(cells > 20, `${cells} scores`);
    for (const [i, cut] of [1, Math.floor(cells / 2), cells + 2, cells + 4].entries()) {
      const out = `cut${i}`;
      await Deno.mkdir(at(out));
      await Deno.copyFile(at("reference/settings.json"), at(`${out}/settings.json`));
      const lines = journal.slice(0, cut).map((line) => `${line}\n`);
      await Deno.writeTextFile(at(`${out}/journal.jsonl`), lines.join(""));
      await pruneHere(["--out", at(out), "--resume"]);
      await checkSameResult(folder, out);
    }

    const [, { ratio }] = frontier;
    await pruneHere([
      ...tiny,
      "--out",
      at("part"),
      "--plan",
      at("reference"),
      "--ratio",
      `${ratio}`,
    ]);
    const part = await json(at("part/run.json"));
    assert.equal(part.parameters.pruned, frontier[1].parameters);
    const grown = await pruneHere(["--out", at("reference"), "--resume", "--ratio", "20"]);
    assert.match(grown, /pruned/);
    const longer = await json(at("reference/run.json"));
    assert.deepEqual(longer.frontier.slice(0, frontier.length), frontier);
    assert.ok(longer.ratio >= 20);
  }));

Deno.test("--search table: cells are scored with their fits, unless nothing is to be refitted", () =>
  inTemporaryFolder(async (folder) => {
    const tiny = await writeTinyRun(folder);
    const scores = async (recover: string) => {
      const out = `${folder}/${recover}`;
      await pruneHere(["--out", out, ...tiny, ...SETTINGS, "--recover", recover]);
      const lines = (await Deno.readTextFile(`${out}/journal.jsonl`)).trimEnd().split("\n")
        .map((line) => JSON.parse(line)).filter(({ type, step }) => type === "score" && step === 0);
      // The first line of a name is that of the cell; a step of one change has the same name.
      return { of: new Map(lines.toReversed().map(({ of, nll }) => [of, nll])) };
    };
    const [without, local] = [await scores("none"), await scores("local")];
    const narrow = [...local.of.keys()].filter((key) => key.endsWith("→1"));
    const gone = [...local.of.keys()].filter((key) => /^\d+\.\w+$/.test(key));
    assert.ok(narrow.length > 0 && gone.length > 0);
    for (const key of gone) assert.deepEqual(local.of.get(key), without.of.get(key), key);
    const changed = narrow.filter((key) => `${local.of.get(key)}` !== `${without.of.get(key)}`);
    assert.equal(changed.length, narrow.length);
  }));

Deno.test("--search table: what no table decides is refused, and a dry run knows its cost", () =>
  inTemporaryFolder(async (folder) => {
    const tiny = await writeTinyRun(folder);
    const refused = (message: RegExp, ...args: string[]) =>
      failsHere(
        ["prune", ...tiny, "--out", `${folder}/x`, "--search", "table", ...args],
        2,
        message,
      );
    await refused(/--distribution auto/, "--distribution", "44:52:4");
    await refused(/no --uniform/, "--uniform");
    await refused(/--fast-without is for --search fast/, "--fast-without", "lazy");
    const dry = await doneHere(["prune", ...tiny, ...SETTINGS, "--dry-run"]);
    assert.match(dry, /\b5 steps/);
  }));
