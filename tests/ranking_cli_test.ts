import assert from "node:assert/strict";
import { inTemporaryFolder } from "./support/cli.ts";
import { failsHere } from "./support/in_process.ts";
import { checkSameResult } from "./support/kill.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

const prune = (folder: string, out: string, ...args: string[]) =>
  pruneHere(["--out", `${folder}/${out}`, ...args]);
const lines = async (run: string) =>
  (await Deno.readTextFile(`${run}/journal.jsonl`)).trimEnd().split("\n");
const json = async (file: string) => JSON.parse(await Deno.readTextFile(file));

Deno.test("--ranking auto: recorded, resumed to the same bytes, and its parts are runs like any other", () =>
  inTemporaryFolder(async (folder) => {
    const tiny = await writeTinyRun(folder);
    const settings = [
      ...["--ratio", "25", "--distribution", "20:40:40", "--mlp-group", "2"],
      ...["--samples", "6", "--width-samples", "2", "--criterion", "perplexity"],
    ];
    await prune(folder, "reference", "--ranking", "auto", ...tiny, ...settings);
    const record = await json(`${folder}/reference/run.json`);
    assert.equal(record.flags.ranking, "auto");
    assert.deepEqual((await json(`${folder}/reference/settings.json`)).flags.ranking, "auto");
    const entries = (await lines(`${folder}/reference`)).map((line) => JSON.parse(line));
    const rankings = entries.filter(({ type }) => type === "ranking");
    assert.deepEqual(rankings.map(({ dimension }) => dimension), ["channels", "kvGroups"]);
    for (const { tried, chosen } of rankings) {
      assert.deepEqual(tried.map(({ ranking }: { ranking: string }) => ranking), [
        "l1",
        "energy",
        "wanda",
      ]);
      assert.ok(tried.every(({ nll }: { nll: number[] }) => nll.length >= 2));
      assert.ok(tried.some(({ ranking }: { ranking: string }) => ranking === chosen));
    }
    const chosen = rankings.map(({ chosen }) => chosen);
    assert.deepEqual(record.rankings.map(({ ranking }: { ranking: string }) => ranking), chosen);
    assert.ok(
      chosen.some((ranking) => ranking !== "l1"),
      "otherwise it would be as with --ranking l1",
    );
    assert.ok(record.recovery.kept > 0, "refits, too, are resumed");

    // as if it had been killed right after a ranking was found, and in the middle of its line
    const all = await lines(`${folder}/reference`);
    const ranking = all.findIndex((line) => line.includes('"type":"ranking"'));
    const cuts = {
      after: all.slice(0, ranking + 1),
      torn: all.slice(0, ranking),
    };
    for (const [out, kept] of Object.entries(cuts)) {
      await Deno.mkdir(`${folder}/${out}`);
      await Deno.copyFile(`${folder}/reference/settings.json`, `${folder}/${out}/settings.json`);
      const torn = out === "torn" ? all[ranking].slice(0, 300) : "";
      const text = kept.map((line) => line + "\n").join("") + torn;
      await Deno.writeTextFile(`${folder}/${out}/journal.jsonl`, text);
      await prune(folder, out, "--resume");
      await checkSameResult(folder, out);
    }

    await prune(folder, "again", tiny[0], "--plan", `${folder}/reference`);
    const weights = (run: string) => Deno.readFile(`${folder}/${run}/model.safetensors`);
    assert.deepEqual(await weights("again"), await weights("reference"));

    await failsHere(
      ["prune", "--out", `${folder}/after`, "--resume", "--ranking", "l1", "--ratio", "35"],
      1,
      /cannot be resumed: the setting ranking was "auto" and is now "l1"/,
    );
  }));

Deno.test("--ranking energy: other channels than the published ranking's, and no published config for them", () =>
  inTemporaryFolder(async (folder) => {
    const tiny = await writeTinyRun(folder);
    const settings = [...tiny, "--preset", "width", "--ratio", "8", "--mlp-group", "3"];
    await prune(folder, "l1", ...settings);
    await prune(folder, "energy", "--ranking", "energy", ...settings);
    const exists = (file: string) => Deno.stat(`${folder}/${file}`).then(() => true, () => false);
    assert.deepEqual(
      [await exists("l1/pruning_config.json"), await exists("energy/pruning_config.json")],
      [true, false],
    );
    const [l1, energy] = await Promise.all(
      ["l1", "energy"].map((run) => json(`${folder}/${run}/lopper_plan.json`)),
    );
    assert.notDeepEqual(energy.layers, l1.layers);
    assert.ok((await lines(`${folder}/l1`)).every((line) => !line.includes('"type":"ranking"')));
  }));

Deno.test("--ranking compensated: of its own, recorded, and resumed to the same bytes", () =>
  inTemporaryFolder(async (folder) => {
    const settings = [
      ...[...await writeTinyRun(folder), "--ratio", "12", "--distribution", "0:50:50"],
      ...["--mlp-group", "3", "--recover", "none"],
    ];
    await prune(folder, "energy", "--ranking", "energy", ...settings);
    await prune(folder, "reference", "--ranking", "compensated", ...settings);
    const record = await json(`${folder}/reference/run.json`);
    assert.equal(record.flags.ranking, "compensated");
    assert.deepEqual(record.rankings, [
      { dimension: "channels", ranking: "compensated", tried: {} },
      { dimension: "kvGroups", ranking: "compensated", tried: {} },
    ]);
    const rankings = async (run: string) =>
      (await lines(`${folder}/${run}`)).map((line) => JSON.parse(line))
        .filter(({ type }) => type === "ranking");
    const [energy, own] = [await rankings("energy"), await rankings("reference")];
    assert.deepEqual(own.map(({ chosen }) => chosen), ["compensated", "compensated"]);
    assert.notDeepEqual(own[0].units, energy[0].units);
    const page = await Deno.readTextFile(`${folder}/reference/report.html`);
    assert.match(page, /MLP channels went by compensated/);

    // as if it had been killed before the ranking of heads was found
    const all = await lines(`${folder}/reference`);
    const ranking = all.findLastIndex((line) => line.includes('"type":"ranking"'));
    await Deno.mkdir(`${folder}/cut`);
    await Deno.copyFile(`${folder}/reference/settings.json`, `${folder}/cut/settings.json`);
    const text = all.slice(0, ranking).map((line) => line + "\n").join("");
    await Deno.writeTextFile(`${folder}/cut/journal.jsonl`, text);
    await prune(folder, "cut", "--resume");
    await checkSameResult(folder, "cut");
  }));
