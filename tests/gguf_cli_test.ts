import assert from "node:assert/strict";
import { inTemporaryFolder, QUICK, runLopper } from "./support/cli.ts";
import { demoGguf } from "./support/demo_gguf.ts";
import { doneHere, failsHere } from "./support/in_process.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`cli: ${name}`, () => inTemporaryFolder(body));

async function succeeds(args: readonly string[], folder: string): Promise<string> {
  const { code, stdout, stderr } = await runLopper(args, folder);
  assert.equal(code, 0, stderr);
  return stdout;
}

test("a GGUF file of the embedded model is the embedded model: same digest, same text, same plan", async (folder) => {
  await Deno.writeFile(`${folder}/demo.gguf`, await demoGguf());
  const [gguf, demo] = await Promise.all(
    ["demo.gguf", "demo"].map((model) =>
      doneHere(["inspect", model, "--digest", "--json"], folder)
    ),
  );
  // A run takes smaller steps of the embedded model than of one that somebody brings.
  const same = (json: string) => {
    const { prunable: { mlpGroup, largestRatio, ...prunable }, ...facts } = JSON.parse(json);
    return { facts: { ...facts, prunable, name: "" }, steps: { mlpGroup, largestRatio } };
  };
  assert.deepEqual(same(gguf).facts, same(demo).facts);
  assert.deepEqual([same(gguf), same(demo)].map(({ steps }) => steps.mlpGroup), [128, 64]);

  const say = (model: string) =>
    doneHere(["generate", model, "It was a", "--max-tokens", "12"], folder);
  assert.equal(await say("demo.gguf"), await say("demo"));

  const args = ["--ratio", "4", "--preset", "blockpruner", "--calibration", "books", ...QUICK];
  await succeeds(["prune", "demo.gguf", ...args], folder);
  await doneHere(["prune", "demo", ...args, "--out", `${folder}/from-folder`]);
  for (const file of ["lopper_plan.json", "model.safetensors", "journal.jsonl"]) {
    // A journal is bound to its settings, which name the model.
    const scores = (text: string) => text.replaceAll(/"seconds":[\d.e-]+|"checksum":"[^"]+"/g, "");
    assert.equal(
      scores(await Deno.readTextFile(`${folder}/lopper-demo-pruned/${file}`)),
      scores(await Deno.readTextFile(`${folder}/from-folder/${file}`)),
      file,
    );
  }
});

test("quantised weights become F16, and the command says so; the result stands alone", async (folder) => {
  await Deno.mkdir(`${folder}/m`);
  await Deno.writeFile(`${folder}/m/q.gguf`, await demoGguf(/ffn_|token_embd/));
  const sentence = /quantised weights \(Q8_0 \d+\.\d MB\) are read, scored and written as F16/;
  // the folder holds one GGUF file and no config.json
  assert.match(await doneHere(["inspect", "m"], folder), sentence);
  const args = ["prune", "m/q.gguf", "--ratio", "4", "--preset", "blockpruner", ...QUICK];
  assert.match(await doneHere([...args, "--out", "p"], folder), sentence);
  const record = JSON.parse(await Deno.readTextFile(`${folder}/p/run.json`));
  assert.deepEqual(Object.keys(record.quantised), ["Q8_0"]);
  await Deno.remove(`${folder}/m`, { recursive: true });
  const inspected = JSON.parse(await doneHere(["inspect", "p", "--json"], folder));
  assert.deepEqual(Object.keys(inspected.dtypes), ["F16"]);
  assert.equal(inspected.quantised, null);
  assert.match(
    await doneHere(["generate", "p", "It was a", "--max-tokens", "4"], folder),
    /It was a/,
  );
});

test("GGUF files that are none, or not there, are one sentence", async (folder) => {
  await Deno.writeTextFile(`${folder}/text.gguf`, "once upon a time there was a model");
  for (
    const [file, message] of [
      ["text.gguf", /text\.gguf, byte 0: the file does not begin with "GGUF"/],
      ["none.gguf", /none\.gguf: there is no such file/],
    ] as const
  ) {
    const path = `${folder}/${file}`;
    const pruning = ["prune", path, "--out", `${folder}/p`];
    for (const command of [["inspect", path], pruning, ["generate", path, "a"]]) {
      await failsHere(command, 1, message);
    }
  }
});
