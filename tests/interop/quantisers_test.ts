/**
 * Quantised exports are no further from their source than what the quantisers of llama.cpp and onnxruntime make of it, in
 * these runtimes, by KL divergence and by the share of equal top tokens.
 *
 * Needs Python with llama_cpp_python, onnx and onnxruntime: in .venv, or named by LOPPER_PYTHON.
 */
import { DEMO_MODEL, HELD_OUT_TEXT } from "@lopper/demo-model";
import { exportGguf, exportOnnx, onnxFile } from "@lopper/exports";
import { type Model, openModel, openTokenizer, writePrunedModel } from "@lopper/model-io";
import { FileFolder, FileSink } from "@lopper/model-io/files";
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder } from "../support/cli.ts";
import { heterogeneousPlan } from "../support/heterogeneous.ts";
import { pythonWith, runPython } from "../support/python.ts";

const SCRIPT = new URL("quantise_as_runtimes_do.py", import.meta.url);
/** As many that a token more or less at the top is no matter of chance. */
const POSITIONS = 768;

interface Distance {
  readonly kl: number;
  readonly top: number;
}

async function opener(folder: string) {
  await Deno.mkdir(folder, { recursive: true });
  return async (file: string) => {
    await Deno.mkdir(dirname(`${folder}/${file}`), { recursive: true });
    return await FileSink.open(`${folder}/${file}`);
  };
}

/** Exports a model in float32 and quantised; the paths of both files. */
async function exports(model: Model, folder: string, type: "q8_0" | "q4_0" | "q8" | "q4") {
  const open = await opener(folder);
  if (type === "q8" || type === "q4") {
    await exportOnnx(model, open, { precision: "fp32" });
    await exportOnnx(model, open, { precision: type });
    return [`${folder}/${onnxFile("fp32")}`, `${folder}/${onnxFile(type)}`];
  }
  await exportGguf(model, open, { title: "source", precision: "fp32" });
  await exportGguf(model, open, { title: "ours", precision: type });
  return [`${folder}/source.gguf`, `${folder}/ours.gguf`];
}

async function compareQuantisers(
  source: Model,
  shape: "dense" | "heterogeneous",
  runtime: "llama.cpp" | "onnxruntime",
  type: "q8_0" | "q4_0" | "q8" | "q4",
) {
  await inTemporaryFolder(async (folder) => {
    let model = source;
    if (shape === "heterogeneous") {
      await writePrunedModel(
        source,
        heterogeneousPlan(source.spec),
        await opener(`${folder}/pruned`),
      );
      model = await openModel(new FileFolder(`${folder}/pruned`));
    }
    const text = await Deno.readTextFile(fileURLToPath(HELD_OUT_TEXT));
    const ids = (await openTokenizer(model.folder)).encode(text).slice(0, POSITIONS);
    const [from, ours] = await exports(model, folder, type);
    const request = { runtime, source: from, ours, type, work: folder, ids };
    const answer = await runPython(python!, SCRIPT, [], request) as Record<string, Distance>;
    const figures = JSON.stringify(answer);
    console.log(`${runtime} ${type}, ${shape}: ${figures}`);
    // A quantised model that is its source was not quantised.
    assert.ok(answer.ours.kl > 0 && answer.theirs.kl > 0, figures);
    assert.ok(answer.ours.kl <= answer.theirs.kl, figures);
    assert.ok(answer.ours.top >= answer.theirs.top, figures);
    if (model !== source) model.close();
  });
}

const python = await pythonWith("llama_cpp, onnx, onnxruntime", "comparing quantisers");
for (const shape of ["dense", "heterogeneous"] as const) {
  for (
    const [runtime, type] of [
      ["llama.cpp", "q8_0"],
      ["llama.cpp", "q4_0"],
      ["onnxruntime", "q8"],
      ["onnxruntime", "q4"],
    ] as const
  ) {
    if (!python) continue;
    Deno.test(`no worse than the quantiser of ${runtime}: embedded model, ${shape}, ${type}`, async () => {
      const model = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
      await compareQuantisers(model, shape, runtime, type);
      model.close();
    });
  }
}
