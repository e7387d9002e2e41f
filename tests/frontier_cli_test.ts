import assert from "node:assert/strict";
import { runRecordToJson } from "../packages/model-io/mod.ts";
import { fileURLToPath } from "node:url";
import { HELD_OUT_TEXT } from "../packages/demo-model/mod.ts";
import { done, fails, inTemporaryFolder, PUBLISHED, QUICK } from "./support/cli.ts";

/** Files that say what stays; run.json also says when and where. */
const RESULT = ["model.safetensors", "config.json", "lopper_plan.json", "pruning_config.json"];

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`frontier: ${name}`, () =>
    inTemporaryFolder(async (folder) => {
      // a short text, since every step is measured on it
      const text = await Deno.readTextFile(fileURLToPath(HELD_OUT_TEXT));
      await Deno.writeTextFile(`${folder}/held_out.txt`, text.slice(0, 3000));
      await body(folder);
    }));
const HELD_OUT = ["--held-out", "held_out.txt"] as const;

const json = async (path: string) => JSON.parse(await Deno.readTextFile(path));

async function sameFiles(a: string, b: string) {
  for (const file of RESULT) {
    assert.deepEqual(
      await Deno.readFile(`${a}/${file}`),
      await Deno.readFile(`${b}/${file}`),
      file,
    );
  }
}

test("a part of a run is what a run that stopped there writes, without a search", async (folder) => {
  const blocks = ["--preset", "blockpruner", ...QUICK, ...HELD_OUT];
  await done(["prune", "--out", "p", "--ratio", "12", ...blocks], folder);
  const record = await json(`${folder}/p/run.json`);
  const { frontier, perplexity, layers } = record;
  assert.equal(frontier.length, record.steps);
  assert.equal(frontier.at(-1).ratio, record.ratio);
  // a block that is removed takes its norm with it, which the published ratio keeps
  assert.equal(frontier.at(-1).parameters, record.parameters.pruned);
  const same = (a: number, b: number) => assert.ok(Math.abs(a / b - 1) < 1e-5, `${a} ≠ ${b}`);
  same(frontier.at(-1).heldOut, perplexity.heldOut.pruned);
  same(frontier.at(-1).perplexity, perplexity.calibration.pruned);
  assert.equal(layers.dense.length, layers.pruned.length);

  await done(["prune", "--out", "p5", "--ratio", "5", ...blocks], folder);
  await done(
    ["prune", "--out", "q5", "--ratio", "5", "--plan", "p", ...QUICK, ...HELD_OUT],
    folder,
  );
  await sameFiles(`${folder}/p5`, `${folder}/q5`);
  // what was cut from a run can be taken again
  await done(["prune", "--out", "r5", "--plan", "q5", ...QUICK, ...HELD_OUT], folder);
  await sameFiles(`${folder}/p5`, `${folder}/r5`);

  await fails(["prune", "--plan", "p", "--ratio", "50"], folder, 1, /reached 12\.\d+ %, which is/);
  await fails(
    ["prune", "--plan", "p/lopper_plan.json", "--ratio", "5"],
    folder,
    2,
    /picks a part of a run's folder/,
  );
  await fails(["prune", "p5", "--plan", "p"], folder, 1, /the run belongs to the checkpoint/);
  await fails(["prune", "--plan", "."], folder, 1, /no run\.json in it/);

  // a folder that contradicts itself is refused
  const text = await Deno.readTextFile(`${folder}/p/run.json`);
  const changed = text.replace(/"kind":"(mlp|attention)","layer":\d+/, '"kind":"mlp","layer":0');
  assert.notEqual(changed, text);
  await Deno.writeTextFile(`${folder}/p/run.json`, changed);
  const cut = ["prune", "--plan", "p", "--out", "x"];
  await fails(cut, folder, 1, /run\.json was changed since Lopper wrote it/);
  const { checksum: _, ...sealedAnew } = JSON.parse(changed);
  await Deno.writeTextFile(`${folder}/p/run.json`, await runRecordToJson(sealedAnew));
  await fails(cut, folder, 1, /different things of step 1/);
  await Deno.remove(`${folder}/p/journal.jsonl`);
  await fails(cut, folder, 1, /do not go together/);
  await Deno.writeTextFile(`${folder}/p/run.json`, text.slice(0, 500));
  await fails(cut, folder, 1, /run\.json is damaged/);
});

test("a search ends within --max-ppl-increase, and resuming it repeats nothing", async (folder) => {
  const args = ["--ratio", "30", ...HELD_OUT, ...PUBLISHED];
  const stdout = await done(
    ["prune", "--out", "p", "--max-ppl-increase", "3%", ...args],
    folder,
  );
  assert.match(
    stdout,
    /ended early: the next step, to .* %, would raise perplexity on the held-out/,
  );
  const { stopped, perplexity, ratio, frontier } = await json(`${folder}/p/run.json`);
  const rise = (perplexity.heldOut.pruned / perplexity.heldOut.dense - 1) * 100;
  assert.ok(rise <= 3 && stopped.increase > 3, `${rise}, ${stopped.increase}`);
  assert.ok(ratio < stopped.ratio);
  assert.equal(frontier.at(-1).ratio, ratio);

  // as if it had been killed before its last line
  const journal = await Deno.readTextFile(`${folder}/p/journal.jsonl`);
  const cut = journal.lastIndexOf("\n", journal.length - 2) + 1;
  await Deno.mkdir(`${folder}/q`);
  await Deno.copyFile(`${folder}/p/settings.json`, `${folder}/q/settings.json`);
  await Deno.writeTextFile(`${folder}/q/journal.jsonl`, journal.slice(0, cut));
  await done(["prune", "--out", "q", "--resume"], folder);
  await sameFiles(`${folder}/p`, `${folder}/q`);
  const timeless = (text: string) =>
    text.replace(/"cost":\{.*?\}|"(seconds|checksum)":[^,}]+/g, "");
  assert.equal(timeless(await Deno.readTextFile(`${folder}/q/journal.jsonl`)), timeless(journal));

  await fails(
    ["prune", "--out", "q2", "--max-ppl-increase", "0.01%", ...args],
    folder,
    1,
    /allows no step: the first raises perplexity on the held-out text by \d/,
  );
  await fails(["prune", "--max-ppl-increase", "lots"], folder, 2, /number above 0/);
  await fails(
    ["prune", "--plan", "p", "--max-ppl-increase", "5"],
    folder,
    2,
    /ends a search, and --plan has none/,
  );
});
