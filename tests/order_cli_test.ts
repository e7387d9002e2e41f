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

Deno.test("--order auto: recorded, resumed to the same bytes, and its parts are runs like any other", () =>
  inTemporaryFolder(async (folder) => {
    const tiny = await writeTinyRun(folder);
    const settings = [
      ...["--ratio", "25", "--distribution", "20:40:40", "--mlp-group", "2"],
      ...["--samples", "6", "--width-samples", "2", "--criterion", "perplexity"],
    ];
    await prune(folder, "reference", "--order", "auto", ...tiny, ...settings);
    const record = await json(`${folder}/reference/run.json`);
    assert.equal(record.flags.order, "auto");
    assert.deepEqual((await json(`${folder}/reference/settings.json`)).flags.order, "auto");
    const entries = (await lines(`${folder}/reference`)).map((line) => JSON.parse(line));
    const orders = entries.filter(({ type }) => type === "order");
    assert.deepEqual(orders.map(({ dimension }) => dimension), ["channels", "kvGroups"]);
    for (const { tried, chosen } of orders) {
      assert.deepEqual(tried.map(({ order }: { order: string }) => order), [
        "l1",
        "energy",
        "wanda",
      ]);
      assert.ok(tried.every(({ nll }: { nll: number[] }) => nll.length >= 2));
      assert.ok(tried.some(({ order }: { order: string }) => order === chosen));
    }
    const chosen = orders.map(({ chosen }) => chosen);
    assert.deepEqual(record.orders.map(({ order }: { order: string }) => order), chosen);
    assert.ok(chosen.some((order) => order !== "l1"), "otherwise it would be as with --order l1");
    assert.ok(record.recovery.kept > 0, "repairs, too, are resumed");

    // as if it had been killed right after an order was found, and in the middle of its line
    const all = await lines(`${folder}/reference`);
    const order = all.findIndex((line) => line.includes('"type":"order"'));
    const cuts = {
      after: all.slice(0, order + 1),
      torn: all.slice(0, order),
    };
    for (const [out, kept] of Object.entries(cuts)) {
      await Deno.mkdir(`${folder}/${out}`);
      await Deno.copyFile(`${folder}/reference/settings.json`, `${folder}/${out}/settings.json`);
      const torn = out === "torn" ? all[order].slice(0, 300) : "";
      const text = kept.map((line) => line + "\n").join("") + torn;
      await Deno.writeTextFile(`${folder}/${out}/journal.jsonl`, text);
      await prune(folder, out, "--resume");
      await checkSameResult(folder, out);
    }

    await prune(folder, "again", tiny[0], "--plan", `${folder}/reference`);
    const weights = (run: string) => Deno.readFile(`${folder}/${run}/model.safetensors`);
    assert.deepEqual(await weights("again"), await weights("reference"));

    await failsHere(
      ["prune", "--out", `${folder}/after`, "--resume", "--order", "l1", "--ratio", "35"],
      1,
      /cannot be resumed: the setting order was "auto" and is now "l1"/,
    );
  }));

Deno.test("--order energy: other channels than the published order's, and no published config for them", () =>
  inTemporaryFolder(async (folder) => {
    const tiny = await writeTinyRun(folder);
    const settings = [...tiny, "--preset", "width", "--ratio", "8", "--mlp-group", "3"];
    await prune(folder, "l1", ...settings);
    await prune(folder, "energy", "--order", "energy", ...settings);
    const exists = (file: string) => Deno.stat(`${folder}/${file}`).then(() => true, () => false);
    assert.deepEqual(
      [await exists("l1/pruning_config.json"), await exists("energy/pruning_config.json")],
      [true, false],
    );
    const [l1, energy] = await Promise.all(
      ["l1", "energy"].map((run) => json(`${folder}/${run}/lopper_plan.json`)),
    );
    assert.notDeepEqual(energy.layers, l1.layers);
    assert.ok((await lines(`${folder}/l1`)).every((line) => !line.includes('"type":"order"')));
  }));

Deno.test("--order compensated: of its own, recorded, and resumed to the same bytes", () =>
  inTemporaryFolder(async (folder) => {
    const settings = [
      ...[...await writeTinyRun(folder), "--ratio", "12", "--distribution", "0:50:50"],
      ...["--mlp-group", "3", "--recover", "none"],
    ];
    await prune(folder, "energy", "--order", "energy", ...settings);
    await prune(folder, "reference", "--order", "compensated", ...settings);
    const record = await json(`${folder}/reference/run.json`);
    assert.equal(record.flags.order, "compensated");
    assert.deepEqual(record.orders, [
      { dimension: "channels", order: "compensated", tried: {} },
      { dimension: "kvGroups", order: "compensated", tried: {} },
    ]);
    const orders = async (run: string) =>
      (await lines(`${folder}/${run}`)).map((line) => JSON.parse(line))
        .filter(({ type }) => type === "order");
    const [energy, own] = [await orders("energy"), await orders("reference")];
    assert.deepEqual(own.map(({ chosen }) => chosen), ["compensated", "compensated"]);
    assert.notDeepEqual(own[0].units, energy[0].units);
    const page = await Deno.readTextFile(`${folder}/reference/report.html`);
    assert.match(page, /MLP channels went by compensated/);

    // as if it had been killed before the order of heads was found
    const all = await lines(`${folder}/reference`);
    const order = all.findLastIndex((line) => line.includes('"type":"order"'));
    await Deno.mkdir(`${folder}/cut`);
    await Deno.copyFile(`${folder}/reference/settings.json`, `${folder}/cut/settings.json`);
    const text = all.slice(0, order).map((line) => line + "\n").join("");
    await Deno.writeTextFile(`${folder}/cut/journal.jsonl`, text);
    await prune(folder, "cut", "--resume");
    await checkSameResult(folder, "cut");
  }));
