import { MemorySource, readGgufHeader } from "@lopper/formats";
import { kindOfChanges, type Way } from "@lopper/search";
import assert from "node:assert/strict";
import { inTemporaryFolder, QUICK } from "./support/cli.ts";
import { doneHere, failsHere } from "./support/in_process.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`prune --uniform: ${name}`, () => inTemporaryFolder(body));

const json = async (path: string) => JSON.parse(await Deno.readTextFile(path));

test("layers stay alike, plain for every reader; parts, plans and resumed runs are the same", async (folder) => {
  const at = (name: string) => `${folder}/${name}`;
  const tiny = await writeTinyRun(folder);
  const settings = ["--preset", "multipruner", "--distribution", "90:10:0", "--mlp-group", "6"];
  const stdout = await pruneHere([
    ...[...tiny, ...settings, "--uniform", "--ratio", "26", "--out", at("p")],
    ...["--export", "gguf"],
  ]);
  assert.match(stdout, / 3 steps/);
  const record = await json(`${folder}/p/run.json`);
  const kinds = record.frontier.map(({ changes }: Way["frontier"][number]) =>
    kindOfChanges(changes)
  );
  assert.deepEqual(kinds, ["layer", "all channels", "all channels"]);
  const config = await json(`${folder}/p/config.json`);
  assert.equal(config.model_type, "llama");
  assert.equal(config.per_layer_config, undefined);
  assert.equal(config.num_hidden_layers, 3);
  assert.equal(config.intermediate_size, 8);

  const gguf = await Deno.readFile(`${folder}/p-gguf/p.gguf`);
  const { metadata } = await readGgufHeader(new MemorySource("p.gguf", gguf));
  assert.equal(await metadata.text("general.architecture"), "llama");
  const exported = await json(`${folder}/p-gguf/export.json`);
  assert.ok(exported.verification.maxAbs <= 0.02);
  await doneHere(["export", at("p"), "--to", "safetensors", "--out", at("hf")]);
  assert.equal((await json(`${folder}/hf/config.json`)).model_type, "llama");

  // killed after its first step
  const journal = await Deno.readTextFile(`${folder}/p/journal.jsonl`);
  const first = journal.indexOf("\n", journal.indexOf('"type":"step"')) + 1;
  await Deno.mkdir(`${folder}/q`);
  await Deno.copyFile(`${folder}/p/settings.json`, `${folder}/q/settings.json`);
  await Deno.writeTextFile(`${folder}/q/journal.jsonl`, journal.slice(0, first));
  await pruneHere(["--out", at("q"), "--resume"]);
  // and from what the files say
  await pruneHere([...tiny, "--plan", at("p"), "--out", at("r")]);
  await pruneHere([...tiny, "--plan", at("p/lopper_plan.json"), "--out", at("s")]);
  for (const other of ["q", "r", "s"]) {
    for (const file of ["model.safetensors", "config.json", "lopper_plan.json"]) {
      const [a, b] = [`${folder}/p/${file}`, `${folder}/${other}/${file}`];
      assert.deepEqual(await Deno.readFile(a), await Deno.readFile(b), b);
    }
  }
  await pruneHere([...tiny, "--plan", at("p"), "--ratio", "22", "--out", at("t")]);
  assert.equal((await json(`${folder}/t/config.json`)).intermediate_size, 12);

  await failsHere(
    ["prune", tiny[0], "--uniform", "--plan", at("p"), "--out", at("u")],
    2,
    /--uniform is for a search, and --plan has none/,
  );
});

test("what differs already, or holds too little, is refused before the work", async (folder) => {
  const at = (name: string) => `${folder}/${name}`;
  const [model, ...texts] = await writeTinyRun(folder);
  await pruneHere([model, ...texts, "--preset", "heads", "--ratio", "1", "--out", at("p")]);
  const differs = ["prune", at("p"), ...texts, "--uniform", "--out", at("q")];
  await failsHere(differs, 2, /needs a model whose layers are alike/);
  const far = ["prune", "--uniform", "--preset", "width", "--ratio", "70", "--out", at("q")];
  await failsHere([...far, ...QUICK], 1, /the largest reachable ratio is \d/);
});
