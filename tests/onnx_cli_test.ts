import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder, PUBLISHED, runLopper } from "./support/cli.ts";
import { doneHere, failsHere } from "./support/in_process.ts";
import { writeTinyRun } from "./support/tiny_run.ts";

const FIXTURES = fileURLToPath(new URL("fixtures/onnx", import.meta.url));

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`cli: ${name}`, () => inTemporaryFolder(body));

async function succeeds(args: readonly string[], folder: string): Promise<string> {
  const { code, stdout, stderr } = await runLopper(args, folder);
  assert.equal(code, 0, stderr);
  return stdout;
}

test("an ONNX export of a model is that model: same text, same decisions", async (folder) => {
  const [model, ...tiny] = await writeTinyRun(folder);
  await doneHere(["export", model, "--to", "onnx", "--verify", "none", "--out", "d"], folder);
  const [onnx, dense] = await Promise.all(
    ["d", model].map(async (model) =>
      JSON.parse(await doneHere(["inspect", model, "--json"], folder))
    ),
  );
  assert.deepEqual(onnx.architecture, dense.architecture);
  assert.deepEqual(onnx.prunable, dense.prunable);
  assert.deepEqual(Object.keys(onnx.dtypes), ["F32"]);

  const say = (model: string) =>
    doneHere(["generate", model, "It was a", "--max-tokens", "12"], folder);
  assert.equal(await say("d/onnx/model.onnx"), await say(model));

  const args = [...tiny, "--ratio", "25"];
  await succeeds(["prune", "d", ...args], folder);
  await doneHere(["prune", model, ...args, "--out", "from-folder"], folder);
  const plan = async (from: string) => {
    const { layers, removalOrder } = JSON.parse(
      await Deno.readTextFile(`${folder}/${from}/lopper_plan.json`),
    );
    return { layers, removalOrder };
  };
  assert.deepEqual(await plan("lopper-d-pruned"), await plan("from-folder"));

  // the result stands alone, and goes round once more
  await Deno.remove(`${folder}/d`, { recursive: true });
  await doneHere(["export", "lopper-d-pruned", "--to", "onnx", "--out", "again"], folder);
  const pruned = JSON.parse(await doneHere(["inspect", "lopper-d-pruned", "--json"], folder));
  const again = JSON.parse(await doneHere(["inspect", "again", "--json"], folder));
  assert.deepEqual(again.dtypes, pruned.dtypes);
  assert.equal(again.parameters.total, pruned.parameters.total);
});

test("the files of other exporters are pruned to folders of their own", async (folder) => {
  for (
    const [model, out, family] of [
      ["llama-untied-optimum", "lopper-llama-untied-optimum-pruned", "llama"],
      ["qwen2-tied-optimum/onnx/model_fp16.onnx", "lopper-model_fp16-pruned", "qwen2"],
      ["qwen3-tied-builder", "lopper-qwen3-tied-builder-pruned", "qwen3"],
    ] as const
  ) {
    const path = `${FIXTURES}/${model}`;
    assert.match(await doneHere(["inspect", path]), new RegExp(`: ${family}, `));
    await doneHere(["prune", path, "--ratio", "10", "--seq-len", "32", ...PUBLISHED], folder);
    const inspected = async (model: string) =>
      JSON.parse(await doneHere(["inspect", model, "--json"]));
    const [{ architecture, parameters }, dense] = [
      await inspected(`${folder}/${out}`),
      await inspected(path),
    ];
    assert.equal(architecture.family, family);
    assert.ok(parameters.total <= 0.9 * dense.parameters.total, `${parameters.total} of ${model}`);
    assert.match(await doneHere(["generate", out, "the", "--max-tokens", "2"], folder), /^the/);
  }
});

test("ONNX files that are none, quantised, or not there, are one sentence", async (folder) => {
  await Deno.writeTextFile(`${folder}/text.onnx`, "once upon a time there was a model");
  await doneHere(
    ["export", "demo", "--to", "onnx", "--quantize", "q4", "--verify", "none", "--out", "q"],
    folder,
  );
  for (
    const [file, message] of [
      ["text.onnx", /text\.onnx, byte 0: /],
      ["none.onnx", /there is no file none\.onnx in this folder/],
      ["q", /model_q4\.onnx: node "MatMulNBits_\d+" is quantised/],
    ] as const
  ) {
    const path = `${folder}/${file}`;
    const pruning = ["prune", path, "--out", `${folder}/p`];
    for (const command of [["inspect", path], pruning, ["generate", path, "a"]]) {
      await failsHere(command, 1, message);
    }
  }
});
