import { runRecordToJson } from "@lopper/run";
import assert from "node:assert/strict";
import { inTemporaryFolder, PUBLISHED } from "./support/cli.ts";
import { doneHere, failsHere } from "./support/in_process.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

/** Files that say what stays; run.json also says when and where. */
const RESULT = ["model.safetensors", "config.json", "lopper_plan.json", "pruning_config.json"];

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`frontier: ${name}`, () => inTemporaryFolder(body));

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
  const tiny = await writeTinyRun(folder);
  const at = (name: string) => `${folder}/${name}`;
  const prune = (out: string, ...args: string[]) =>
    pruneHere(["--out", at(out), ...tiny, "--preset", "blockpruner", ...args]);
  await prune("p", "--ratio", "40");
  const record = await json(`${folder}/p/run.json`);
  const { frontier, perplexity, layers } = record;
  assert.equal(frontier.length, record.steps);
  assert.ok(frontier[0].ratio < 20 && record.steps > 1, "a part is not all of it");
  assert.equal(frontier.at(-1).ratio, record.ratio);
  // a block that is removed takes its norm with it, which the published ratio keeps
  assert.equal(frontier.at(-1).parameters, record.parameters.pruned);
  const same = (a: number, b: number) => assert.ok(Math.abs(a / b - 1) < 1e-5, `${a} ≠ ${b}`);
  same(frontier.at(-1).heldOut, perplexity.heldOut.pruned);
  same(frontier.at(-1).perplexity, perplexity.calibration.pruned);
  assert.equal(layers.dense.length, layers.pruned.length);

  await prune("p5", "--ratio", "5");
  const cut = (plan: string, ...args: string[]) =>
    pruneHere([...tiny, "--plan", at(plan), "--out", ...args]);
  await cut("p", at("q5"), "--ratio", "5");
  await sameFiles(at("p5"), at("q5"));
  // what was cut from a run can be taken again
  await cut("q5", at("r5"));
  await sameFiles(at("p5"), at("r5"));

  const plan = (of: string, ...args: string[]) => ["prune", tiny[0], "--plan", at(of), ...args];
  await failsHere(plan("p", "--ratio", "80"), 1, /reached 4\d\.\d+ %, which is/);
  await failsHere(
    plan("p/lopper_plan.json", "--ratio", "5"),
    2,
    /picks a part of a run's folder/,
  );
  await failsHere(["prune", at("p5"), "--plan", at("p")], 1, /the run belongs to the checkpoint/);
  await failsHere(["prune", tiny[0], "--plan", folder], 1, /no run\.json in it/);

  // a folder that contradicts itself is refused
  const text = await Deno.readTextFile(`${folder}/p/run.json`);
  // another layer of the same size, which no step takes
  const taken = frontier.map(({ changes }: { changes: { part: string }[] }) => changes[0].part);
  const [, kind] = taken[0].split(".");
  const other = layers.dense.findIndex((_: unknown, i: number) => !taken.includes(`${i}.${kind}`));
  const changed = text.replace(`"part":"${taken[0]}"`, `"part":"${other}.${kind}"`);
  assert.notEqual(changed, text);
  await Deno.writeTextFile(`${folder}/p/run.json`, changed);
  const refused = (message: RegExp) => failsHere(plan("p", "--out", at("x")), 1, message);
  await refused(/run\.json was changed since Lopper wrote it/);
  const { checksum: _, ...sealedAnew } = JSON.parse(changed);
  await Deno.writeTextFile(`${folder}/p/run.json`, await runRecordToJson(sealedAnew));
  await refused(/different things of step 1/);
  await Deno.remove(`${folder}/p/journal.jsonl`);
  await refused(/do not go together/);
  await Deno.writeTextFile(`${folder}/p/run.json`, text.slice(0, 500));
  await refused(/run\.json is damaged/);
});

test("a search ends within --max-ppl-increase, and resuming it repeats nothing", async (folder) => {
  const args = ["--ratio", "30", ...PUBLISHED];
  const stdout = await doneHere(
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
  await doneHere(["prune", "--out", "q", "--resume"], folder);
  await sameFiles(`${folder}/p`, `${folder}/q`);
  const timeless = (text: string) =>
    text.replace(/"cost":\{.*?\}|"(seconds|checksum)":[^,}]+/g, "");
  assert.equal(timeless(await Deno.readTextFile(`${folder}/q/journal.jsonl`)), timeless(journal));

  await failsHere(
    ["prune", "--out", "q2", "--max-ppl-increase", "0.01%", ...args],
    1,
    /allows no step: the first raises perplexity on the held-out text by \d/,
    folder,
  );
  await failsHere(["prune", "--max-ppl-increase", "lots"], 2, /number above 0/, folder);
  await failsHere(
    ["prune", "--plan", "p", "--max-ppl-increase", "5"],
    2,
    /ends a search, and --plan has none/,
    folder,
  );
});
