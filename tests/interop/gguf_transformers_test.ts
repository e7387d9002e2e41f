import { densePlan } from "@lopper/core";
import { FileFolder, FileSink, FileSource } from "@lopper/files";
import { readGgufHeader } from "@lopper/formats";
import {
  GgufFolder,
  modelDigest,
  openGgufModel,
  openModel,
  writePrunedModel,
} from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder } from "../support/cli.ts";
import { pythonWith } from "../support/python.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/gguf", import.meta.url));
const SCRIPT = fileURLToPath(
  new URL("../../scripts/oracles/read_written_models.py", import.meta.url),
);
/** Layers that differ, which transformers does not know. */
const NOT_UNIFORM = "llama-by-layer";

const ggufFiles = (folder: string) =>
  [...Deno.readDirSync(`${FIXTURES}/${folder}`)].map(({ name }) => name)
    .filter((name) => name.endsWith(".gguf")).map((name) => name.replace(/\.gguf$/, ""));

async function readByTransformers(
  python: string,
  kind: "tokenizers" | "models",
  folder: string,
) {
  const { code, stdout, stderr } = await new Deno.Command(python, {
    args: [SCRIPT, kind, folder, FIXTURES],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim().split("\n").map((line) => JSON.parse(line));
}

Deno.test("transformers reads the tokenizers that are made from GGUF files, and gives the ids of llama.cpp", () =>
  inTemporaryFolder(async (folder) => {
    const python = await pythonWith("transformers", "this test");
    if (python === null) return;
    const names = ggufFiles("tokenizers");
    for (const name of names) {
      const source = await FileSource.open(`${FIXTURES}/tokenizers/${name}.gguf`);
      const files = new GgufFolder((await readGgufHeader(source)).metadata, {});
      await Deno.mkdir(`${folder}/${name}`);
      for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
        await Deno.writeFile(`${folder}/${name}/${file}`, await files.readBytes(file, 1e8));
      }
      source.close();
    }
    const results = await readByTransformers(python, "tokenizers", folder);
    assert.deepEqual(results.map(({ name }) => name), names.sort());
    for (const { name, texts, different } of results) {
      assert.ok(texts > 300);
      assert.deepEqual(different, [], name);
    }
  }));

Deno.test("transformers computes the same logits from what is written of GGUF files as from the files", () =>
  inTemporaryFolder(async (folder) => {
    const python = await pythonWith("transformers", "this test");
    if (python === null) return;
    const names = ggufFiles("models").filter((name) => name !== NOT_UNIFORM);
    for (const name of names) {
      const model = await openGgufModel(await FileSource.open(`${FIXTURES}/models/${name}.gguf`));
      const plan = densePlan(model.architecture, await modelDigest(model));
      await Deno.mkdir(`${folder}/${name}`);
      await writePrunedModel(model, plan, (file) => FileSink.open(`${folder}/${name}/${file}`));
      model[Symbol.dispose]();
      const written = await openModel(new FileFolder(`${folder}/${name}`));
      assert.equal(await modelDigest(written), plan.modelDigest);
      written[Symbol.dispose]();
    }
    const results = await readByTransformers(python, "models", folder);
    assert.deepEqual(results.map(({ name }) => name), names.sort());
    for (const { name, layers, difference, tolerance } of results) {
      assert.ok(layers > 0 && difference <= tolerance, `${name} is off by ${difference}`);
      console.log(`${name}: ${difference.toExponential(1)}`);
    }
  }));
