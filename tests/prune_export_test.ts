import { HELD_OUT_TEXT } from "@lopper/demo-model";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { FileSource } from "@lopper/files";
import {
  MemorySink,
  readGgufHeader,
  readImportanceMatrix,
  writeImportanceMatrix,
} from "@lopper/formats";
import { inTemporaryFolder, QUICK, runLopper, startLopper } from "./support/cli.ts";
import { doneHere, failsHere } from "./support/in_process.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`prune --export: ${name}`, () => inTemporaryFolder(body));

const BRIEF = ["--preset", "blockpruner", "--ratio", "5"] as const;
const OLMO2 = fileURLToPath(new URL("fixtures/families/olmo2", import.meta.url));

const json = async (path: string) => JSON.parse(await Deno.readTextFile(path));
const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

async function succeeds(args: readonly string[], folder: string): Promise<string> {
  const { code, stdout, stderr } = await runLopper(args, folder);
  assert.equal(code, 0, stderr);
  return stdout;
}

test("the result is exported beside it, and verified; --json carries both", async (folder) => {
  const exporting = ["--export", "onnx", "--dtype", "fp16", "--json"];
  const args = ["prune", "--out", "p", ...BRIEF, ...QUICK, ...exporting];
  const events = (await succeeds(args, folder)).trimEnd().split("\n").map((l) => JSON.parse(l));
  const results = events.filter(({ event }) => event === "result");
  assert.deepEqual(results, [events.at(-1)]);
  const [result] = results;
  assert.equal(result.kind, "lopper-run");
  const { export: format, dtype, quantize } = result.flags;
  assert.deepEqual([format, dtype, quantize], ["onnx", "fp16", null]);
  assert.equal(result.export.kind, "lopper-export");
  assert.equal(result.export.out, `${result.out}-onnx-fp16`);
  assert.equal(result.export.verification.positions, 128);
  assert.deepEqual(names(folder), ["p", "p-onnx-fp16"], "nothing is left beside the results");
  const record = await json(`${folder}/p-onnx-fp16/export.json`);
  assert.deepEqual(record.source, { name: "p", digest: result.prunedDigest });
  await Deno.stat(`${folder}/p-onnx-fp16/onnx/model_fp16.onnx`);

  // as `lopper export` writes it
  await doneHere(["export", "p", "--to", "onnx", "--dtype", "fp16", "--out", "x"], folder);
  for (const file of [...record.files, "export.json"]) {
    assert.deepEqual(
      await Deno.readFile(`${folder}/p-onnx-fp16/${file}`),
      await Deno.readFile(`${folder}/x/${file}`),
      file,
    );
  }

  // a run that is finished can be exported once more, in another way, and keeps the first
  const more = ["prune", "--resume", "--out", "p", "--export", "gguf", "--quantize", "q8_0"];
  assert.match(await doneHere(more, folder), /parameters[^]*1 file, .*p-gguf-q8_0\n.*verified/);
  assert.deepEqual(names(`${folder}/p-gguf-q8_0`), ["export.json", "p.gguf"]);
  const { mtime } = await Deno.stat(`${folder}/p-gguf-q8_0/p.gguf`);
  await doneHere(more, folder);
  assert.deepEqual((await Deno.stat(`${folder}/p-gguf-q8_0/p.gguf`)).mtime, mtime, "made once");
});

test("a result is rounded by the text that its run was calibrated on", async (folder) => {
  const text = `${folder}/t.txt`;
  await Deno.writeTextFile(text, (await Deno.readTextFile(HELD_OUT_TEXT)).slice(0, 6000));
  const to = ["--export", "gguf", "--quantize", "q4_0"];
  const args = ["prune", ...BRIEF, ...QUICK, "--calibration", text, "--out", "p", ...to];
  await doneHere(args, folder);
  const again = ["prune", "--resume", "--out", "p", ...to, "--rounding", "gptq"];
  assert.match(await doneHere(again, folder), /matrices were rounded by GPTQ on \d+ tokens/);
  const [nearest, gptq] = await Promise.all(
    ["p-gguf-q4_0", "p-gguf-q4_0-gptq"].map((out) => json(`${folder}/${out}/export.json`)),
  );
  assert.deepEqual([nearest.rounding, gptq.rounding.by], [undefined, "gptq"]);
  // as `lopper export` does by that text
  const rounding = ["--rounding", "gptq", "--calibration", text];
  await doneHere(
    ["export", "p", "--to", "gguf", "--quantize", "q4_0", ...rounding, "--out", "x"],
    folder,
  );
  assert.deepEqual(await json(`${folder}/x/export.json`), gptq);
});

test("Ctrl-C and kills between prune and export leave what --resume finishes", async (folder) => {
  // Large enough that its export takes longer than a signal on its way.
  const args = ["prune", "--out", "p", "--export", "gguf", ...BRIEF, ...QUICK];
  const process = startLopper(args, folder);
  const output = process.output();
  const finished = () => Deno.stat(`${folder}/p/run.json`).then(() => true, () => false);
  while (!await finished()) await new Promise((resolve) => setTimeout(resolve, 5));
  process.kill("SIGINT");
  const { code, stderr, stdout } = await output;
  assert.equal(code, 130);
  assert.match(
    new TextDecoder().decode(stderr),
    /the pruned model is in .*p, export it with: deno task prune --resume --out .*p --export gguf/,
  );
  assert.match(
    new TextDecoder().decode(stdout),
    /written to .*p\n/,
    "the result is told all the same",
  );
  assert.deepEqual(names(folder), ["p"]);

  // without --export: the run knows what it was begun for
  const resume = ["prune", "--resume", "--out", "p"];
  const killed = startLopper(resume, folder);
  const end = killed.output();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  try {
    killed.kill("SIGKILL");
  } catch { /* it was faster */ }
  await end;
  await doneHere(resume, folder);
  assert.deepEqual(names(folder), ["p", "p-gguf"]);
  const { prunedDigest } = await json(`${folder}/p/run.json`);
  const first = await json(`${folder}/p-gguf/export.json`);
  assert.equal(first.source.digest, prunedDigest);

  // what goes on to a higher ratio is exported anew
  await doneHere([...resume, "--ratio", "8"], folder);
  const second = await json(`${folder}/p-gguf/export.json`);
  assert.equal(second.source.digest, (await json(`${folder}/p/run.json`)).prunedDigest);
  assert.notEqual(second.source.digest, first.source.digest);
  assert.deepEqual(names(folder), ["p", "p-gguf"]);
});

/** Of a model, as llama.cpp would have it: each input of a matrix has its number. */
async function importanceOf(model: string, folder: string): Promise<string> {
  await doneHere(["export", model, "--to", "gguf", "--dtype", "fp16", "--out", "dense"], folder);
  const [file] = names(`${folder}/dense`).filter((name) => name.endsWith(".gguf"));
  const source = await FileSource.open(`${folder}/dense/${file}`);
  const { tensors } = await readGgufHeader(source, async () => {});
  source.close();
  const entries = new Map(
    [...tensors].filter(([name, { shape }]) => name.startsWith("blk.") && shape.length > 1)
      .map(([name, { shape }]) => [name, {
        squares: Float32Array.from({ length: shape[1] }, (_, input) => input + 1),
        counts: Float32Array.of(1),
      }]),
  );
  const sink = new MemorySink();
  await writeImportanceMatrix(sink, { entries, metadata: null, ending: new Uint8Array(0) });
  await sink.commit();
  await Deno.writeFile(`${folder}/imatrix.dat`, sink.bytes);
  return "imatrix.dat";
}

test("an importance matrix is cut with the model and lies beside it, once it is asked for", async (folder) => {
  const tiny = await writeTinyRun(folder);
  const matrix = await importanceOf(tiny[0], folder);
  const narrow = [...tiny, "--preset", "width", "--ratio", "5"];
  const args = ["prune", "--out", "p", "--export", "gguf"];
  await doneHere([...args, ...narrow], folder);
  assert.deepEqual(names(`${folder}/p-gguf`), ["export.json", "p.gguf"]);
  const again = [...args, "--resume", "--imatrix", matrix];
  await doneHere(again, folder);
  assert.deepEqual(names(`${folder}/p-gguf`), ["export.json", "p.gguf", "p.imatrix"]);
  const source = await FileSource.open(`${folder}/p-gguf/p.imatrix`);
  const { entries } = await readImportanceMatrix(source);
  source.close();
  const { layers } = await json(`${folder}/p/lopper_plan.json`);
  const narrowed = layers.findIndex(({ mlp }: { mlp: { channels: readonly number[] } }) =>
    mlp.channels.some((channel, i) => channel !== i)
  );
  assert.deepEqual(
    [...entries.get(`blk.${narrowed}.ffn_down.weight`)!.squares],
    layers[narrowed].mlp.channels.map((channel: number) => channel + 1),
  );
  const { mtime } = await Deno.stat(`${folder}/p-gguf/p.imatrix`);
  await doneHere(again, folder);
  assert.deepEqual((await Deno.stat(`${folder}/p-gguf/p.imatrix`)).mtime, mtime, "made once");
  const other = ["prune", "--out", "q", "--export", "onnx", "--imatrix", matrix];
  await failsHere(other, 2, /--imatrix goes with --export gguf, and it is --export onnx/, folder);
  const none = ["prune", "--out", "q", "--export", "gguf", "--imatrix", "p/config.json", ...narrow];
  await failsHere(none, 1, /config\.json/, folder);
  assert.ok(!names(folder).includes("q"), "before the work");
});

test("what does not go together, or has no place, is refused before the work", async (folder) => {
  await Deno.mkdir(`${folder}/p-onnx`);
  await Deno.writeTextFile(`${folder}/p-onnx/letter.txt`, "Dear Ishmael");
  for (
    const [args, message] of [
      [["--quantize", "q8_0"], /--quantize is for what --export writes/],
      [["--dtype", "fp16"], /--dtype is for what --export writes/],
      [["--export", "safetensors", "--quantize", "q4"], /q4 does not go with --export safetensors/],
      [["--export", "gguf", "--quantize", "q8"], /which takes one of q8_0, q6_k, .*, q4_0/],
      [["--export", "gguf", "--quantize", "q8_0", "--dtype", "fp16"], /cannot be used with/],
      [["--export", "papyrus"], /papyrus.*invalid/],
      [["--rounding", "gptq"], /--rounding is for what --export writes/],
      [["--export", "gguf", "--rounding", "gptq"], /gptq is for --export gguf with --quantize/],
      [["--export", "onnx"], /p-onnx is not empty/],
      [["--export", "onnx", "--overwrite"], /holds no export\.json/],
      [["--export", "onnx", "--resume"], /p-onnx is not empty/],
    ] as const
  ) {
    await failsHere(["prune", "--out", `${folder}/p`, ...args], 2, message);
  }
  // nothing is made of a finished run, either
  const tiny = await writeTinyRun(`${folder}/own`);
  await pruneHere([...tiny, ...BRIEF, "--out", `${folder}/q`]);
  await Deno.rename(`${folder}/p-onnx`, `${folder}/q-onnx`);
  const late = ["prune", "--resume", "--out", `${folder}/q`, "--export", "onnx"];
  await failsHere(late, 2, /q-onnx is not empty/);

  const olmo = ["prune", OLMO2, "--out", "p", "--export", "gguf"];
  const behind =
    /norms behind its blocks, which llama\.cpp computes where all layers are alike only/;
  await failsHere(olmo, 2, behind, folder);
  assert.deepEqual(names(folder), ["own", "q", "q-onnx"]);

  const dry = ["prune", ...tiny, ...BRIEF, "--dry-run", "--out", "p", "--export", "gguf"];
  assert.match(await doneHere(dry, folder), /then exported to .*p-gguf\n?$/m);
});
