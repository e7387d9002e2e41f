import { MemorySource } from "@lopper/model-io";
import assert from "node:assert/strict";
import { readGgufHeader } from "../packages/model-io/gguf/header.ts";
import { inTemporaryFolder, PUBLISHED, QUICK, runLopper } from "./support/cli.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`prune --uniform: ${name}`, () => inTemporaryFolder(body));

async function succeeds(args: readonly string[], folder: string): Promise<string> {
  const { code, stdout, stderr } = await runLopper(args, folder);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

const json = async (path: string) => JSON.parse(await Deno.readTextFile(path));

test("layers stay alike, plain for every reader; parts, plans and resumed runs are the same", async (folder) => {
  const args = [
    "prune",
    "--uniform",
    "--ratio",
    "20",
    "--out",
    "p",
    "--export",
    "gguf",
    ...PUBLISHED,
  ];
  const stdout = await succeeds(args, folder);
  assert.match(stdout, / 3 steps/);
  const record = await json(`${folder}/p/run.json`);
  const kinds = record.frontier.map(({ kind }: { kind: string }) => kind);
  assert.deepEqual(kinds, ["layer", "all_mlp_channels", "all_mlp_channels"]);
  const config = await json(`${folder}/p/config.json`);
  assert.equal(config.lopper, undefined);
  assert.equal(config.num_hidden_layers, 11);
  assert.equal(config.intermediate_size, 384);

  const gguf = await Deno.readFile(`${folder}/p-gguf/p.gguf`);
  const { metadata } = await readGgufHeader(new MemorySource("p.gguf", gguf));
  assert.equal(await metadata.text("general.architecture"), "llama");
  const exported = await json(`${folder}/p-gguf/export.json`);
  assert.ok(exported.verification.maxAbs <= 0.02);
  await succeeds(["export", "p", "--to", "safetensors", "--out", "hf"], folder);
  assert.equal((await json(`${folder}/hf/config.json`)).model_type, "llama");

  // killed after its first step
  const journal = await Deno.readTextFile(`${folder}/p/journal.jsonl`);
  const first = journal.indexOf("\n", journal.indexOf('"type":"step"')) + 1;
  await Deno.mkdir(`${folder}/q`);
  await Deno.copyFile(`${folder}/p/settings.json`, `${folder}/q/settings.json`);
  await Deno.writeTextFile(`${folder}/q/journal.jsonl`, journal.slice(0, first));
  await succeeds(["prune", "--out", "q", "--resume"], folder);
  // and from what the files say
  await succeeds(["prune", "--plan", "p", "--out", "r", ...QUICK], folder);
  await succeeds(["prune", "--plan", "p/lopper_plan.json", "--out", "s", ...QUICK], folder);
  for (const other of ["q", "r", "s"]) {
    for (const file of ["model.safetensors", "config.json", "lopper_plan.json"]) {
      const [a, b] = [`${folder}/p/${file}`, `${folder}/${other}/${file}`];
      assert.deepEqual(await Deno.readFile(a), await Deno.readFile(b), b);
    }
  }
  const part = ["prune", "--plan", "p", "--ratio", "10", "--out", "t", ...QUICK];
  await succeeds(part, folder);
  assert.equal((await json(`${folder}/t/config.json`)).intermediate_size, 448);

  const { code, stderr } = await runLopper(["prune", "--uniform", "--plan", "p"], folder);
  assert.equal(code, 2);
  assert.match(stderr, /--uniform is for a search, and --plan has none/);
});

test("what differs already, or holds too little, is refused before the work", async (folder) => {
  await succeeds(["prune", "--preset", "heads", "--ratio", "1", "--out", "p", ...QUICK], folder);
  const differs = await runLopper(["prune", "p", "--uniform", "--out", "q", ...QUICK], folder);
  assert.equal(differs.code, 2);
  assert.match(differs.stderr, /needs a model whose layers are alike/);
  const far = ["prune", "--uniform", "--preset", "width", "--ratio", "70", ...QUICK];
  const { code, stderr } = await runLopper(far, folder);
  assert.equal(code, 1);
  assert.match(stderr, /the largest reachable ratio is \d/);
});
