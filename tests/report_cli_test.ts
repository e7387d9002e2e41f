import assert from "node:assert/strict";
import { formatCount, seal } from "@lopper/core";
import { faultsOf, readPage, tableOf } from "@lopper/report/testing";
import { inTemporaryFolder, QUICK } from "./support/cli.ts";
import { doneHere, failsHere, runHere } from "./support/in_process.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`report: ${name}`, () => inTemporaryFolder(body));

test("the page of a run says what its record does", async (folder) => {
  const at = (name: string) => `${folder}/${name}`;
  const tiny = await writeTinyRun(folder);
  const stages = ["--preset", "multipruner", "--distribution", "60:20:20", "--mlp-group", "6"];
  const args = [...tiny, ...stages, "--ratio", "30"];
  const output = await pruneHere([...args, "--out", at("p")]);
  assert.match(output, /a page about it: .*p\/report\.html\n/);
  const written = await Deno.readTextFile(`${folder}/p/report.html`);
  assert.match(await doneHere(["report", at("p")]), /^written to .*report\.html\n$/);
  const text = await Deno.readTextFile(`${folder}/p/report.html`);
  assert.equal(text, written);
  const root = readPage(text);
  assert.deepEqual(faultsOf(root), []);
  const record = JSON.parse(await Deno.readTextFile(`${folder}/p/run.json`));
  const figures = tableOf(root, "Before and after");
  const [parameters, heldOut] = [/^parameters/, /^perplexity, held-out/].map((name) =>
    figures.find(([figure]) => name.test(figure))!
  );
  assert.equal(formatCount(record.parameters.dense), "36,856");
  const left = formatCount(record.parameters.pruned);
  assert.deepEqual(parameters.slice(1, 3), ["36,856", left]);
  const { dense, pruned } = record.perplexity.heldOut;
  assert.deepEqual(heldOut.slice(1, 3), [dense.toFixed(2), pruned.toFixed(2)]);
  const layers = tableOf(root, "What stays of each layer").slice(1);
  record.layers.pruned.forEach((
    { attention, mlp }: {
      attention: { kvHeads: number } | null;
      mlp: { intermediateSize: number } | null;
    },
    i: number,
  ) => {
    assert.match(layers[i][1], attention ? new RegExp(`^${attention.kvHeads}\\b`) : /removed/);
    assert.match(layers[i][3], mlp ? new RegExp(`^${mlp.intermediateSize}\\b`) : /removed/);
  });
  assert.equal(tableOf(root, "Every step of the search").length, record.steps + 1);
  const together = tableOf(root, "Cost by stage").find(([stage]) => stage === "together")!;
  const percent = (100 * record.blockTokens.spent / record.blockTokens.full).toFixed(0);
  assert.deepEqual([together[1], together[5]], [String(record.steps), `${percent} %`]);

  // nothing but the data decides the bytes
  await doneHere(["report", at("p"), "--out", at("again.html")]);
  assert.equal(await Deno.readTextFile(`${folder}/again.html`), text);
  await failsHere(["report", at("p"), "--out", at("again.html")], 2, /there already.*--overwrite/);
  await failsHere(["report", at("p"), "--out", at("p")], 2, /p is a folder/);
  const json = JSON.parse(
    await doneHere(["report", at("p"), "--out", at("again.html"), "--overwrite", "--json"]),
  );
  assert.equal(json.event, "result");
  assert.equal(json.bytes, (await Deno.stat(json.out)).size);

  // several runs have a page together
  assert.match(
    await doneHere(["report", "p", "p"], folder),
    /^written to .*lopper-report\.html\n$/,
  );
  const overlay = readPage(await Deno.readTextFile(`${folder}/lopper-report.html`));
  assert.deepEqual(faultsOf(overlay), []);
  assert.equal(tableOf(overlay, "What each run removed, and what it did").length, 3);
  await failsHere(["report", "p", "p"], 2, /there already.*--overwrite/, folder);
  await failsHere(
    ["report", at("p"), at("none"), "--out", at("x.html")],
    1,
    /none: there is no such folder/,
  );

  // a page that cannot be written takes nothing from the result
  await Deno.remove(`${folder}/p/report.html`);
  await Deno.mkdir(`${folder}/p/report.html/in the way`, { recursive: true });
  const resumed = await runHere(["prune", "--out", "p", "--resume"], folder);
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.match(
    resumed.stderr,
    /^warning: the result is complete, its page is not: .*deno task report/,
  );
  assert.match(resumed.stdout, /written to .*p\n/);
  assert.doesNotMatch(resumed.stdout, /a page about it/);
  await Deno.remove(`${folder}/p/report.html`, { recursive: true });
  // one that was lost comes back
  await doneHere(["prune", "--out", "p", "--resume"], folder);
  assert.equal(await Deno.readTextFile(`${folder}/p/report.html`), text);

  // a folder that contradicts itself has no page
  const journal = await Deno.readTextFile(`${folder}/p/journal.jsonl`);
  await Deno.writeTextFile(`${folder}/p/journal.jsonl`, journal.replace(/"nll":/, '"nil":'));
  await failsHere(["report", at("p")], 1, /journal\.jsonl, line \d+: it was changed/);
  await Deno.writeTextFile(`${folder}/p/journal.jsonl`, "");
  assert.equal(await Deno.readTextFile(`${folder}/p/report.html`), text, "nothing half-written");
  await Deno.remove(`${folder}/p/lopper_plan.json`);
  await failsHere(["report", at("p")], 1, /lopper_plan\.json: there is no such file/);
  await failsHere(["report", at("none")], 1, /none: there is no such folder/);
  await failsHere(["report", folder], 1, /no run\.json in it/);
  await failsHere(["report"], 2, /missing required argument/);
});

test("a comparison of the result with its dense model puts its tasks on the page", async (folder) => {
  const at = (name: string) => `${folder}/${name}`;
  await doneHere(
    ["prune", "--out", "p", "--preset", "blockpruner", "--ratio", "5", ...QUICK],
    folder,
  );
  const questions = ["sea", "fire", "door"].map((right) =>
    JSON.stringify({ context: "She saw the", choices: [right, "xylophone factory"], answer: 0 })
  );
  await Deno.writeTextFile(`${folder}/own.jsonl`, questions.join("\n"));
  await Deno.writeTextFile(`${folder}/sea.txt`, "The ship lay at anchor. ".repeat(50));
  const measured = ["--tasks", "own.jsonl", "--perplexity", "sea.txt", "--seq-len", "64"];
  await doneHere(["compare", "demo", "p", ...measured, "--no-speed", "--out", "scores"], folder);
  await doneHere(["report", at("p"), "--scores", at("scores")]);
  const page = readPage(await Deno.readTextFile(`${folder}/p/report.html`));
  assert.deepEqual(faultsOf(page), []);
  const comparison = JSON.parse(await Deno.readTextFile(`${folder}/scores/comparison.json`));
  const [dense, pruned] = comparison.models;
  const [task] = tableOf(page, "Tasks").slice(1);
  const percent = (model: typeof dense) => (100 * model.tasks[0].metrics.acc_norm.value).toFixed(1);
  assert.deepEqual(task.slice(0, 5), ["own", "acc_norm", "3", percent(dense), percent(pruned)]);
  const [text] = tableOf(page, "Texts compared").slice(1);
  assert.deepEqual(
    text.slice(2, 5),
    [
      dense.texts[0].perplexity.toFixed(2),
      pruned.texts[0].perplexity.toFixed(2),
      `×${pruned.againstFirst.texts[0].perplexityRatio.value.toFixed(3)}`,
    ],
  );

  // and on the card, unless that is somebody's own by now
  const card = () => Deno.readTextFile(`${folder}/p/README.md`);
  const scored = await card();
  assert.match(scored, /^## How good it is$/m);
  assert.ok(scored.includes(`| own | acc\\_norm | 3 | ${percent(dense)} | ${percent(pruned)} |`));
  await doneHere(["report", at("p"), "--scores", at("scores")]);
  assert.equal(await card(), scored);
  await Deno.writeTextFile(`${folder}/p/README.md`, scored + "\nMore of my own.\n");
  const said = await doneHere(["report", at("p"), "--scores", at("scores")]);
  assert.match(said, /README\.md was changed by hand, and stays as it is/);
  assert.ok((await card()).endsWith("More of my own.\n"));

  // one of other models says nothing of this run
  const page0 = await Deno.readTextFile(`${folder}/p/report.html`);
  const refuses = (pattern: RegExp) =>
    failsHere(["report", at("p"), "--scores", at("scores")], 1, pattern);
  const file = `${folder}/scores/comparison.json`;
  await Deno.writeTextFile(file, JSON.stringify({ ...comparison, models: [dense, dense] }));
  await refuses(/comparison\.json was changed since Lopper wrote it/);
  const { checksum: _, ...unsealed } = comparison;
  const write = async (value: object) =>
    await Deno.writeTextFile(file, JSON.stringify(await seal({ ...unsealed, ...value })));
  await write({ models: [pruned, { ...dense, againstFirst: pruned.againstFirst }] });
  await refuses(/comparison\.json: its first model is not the one that the run pruned/);
  await write({ models: [dense, { ...pruned, digest: dense.digest }] });
  await refuses(/comparison\.json: its models are not the run's result/);
  await write({ models: [dense, { ...pruned, tasks: [] }] });
  await refuses(/comparison\.json is not a comparison of Lopper/);
  await write({ models: [dense, { ...pruned, texts: [{ text: 1 }] }] });
  await refuses(/comparison\.json is not a comparison of Lopper: at models\.1\.texts\.0\.text/);
  await failsHere(
    ["report", at("p"), "--scores", at("none")],
    1,
    /none\/comparison\.json: there is no/,
  );
  await failsHere(
    ["report", at("p"), at("p"), "--scores", at("scores")],
    2,
    /--scores belongs to the page/,
  );
  assert.equal(await Deno.readTextFile(`${folder}/p/report.html`), page0);
});
