import { CheckpointFormatError, UnsupportedModelError } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { modelDigest } from "../model.ts";
import { MemoryFolder } from "@lopper/formats";
import { openModel } from "../open_model.ts";
import { readChatTemplates } from "@lopper/tokenizers";
import { KnownFolder } from "./known_folder.ts";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const LLAMA_URL = new URL("../../../tests/fixtures/families/llama-mha/", import.meta.url);
const LLAMA = fileURLToPath(LLAMA_URL);
const family = new FileFolder(LLAMA);
const WHOLE = {
  "config.json": await family.readBytes("config.json", 1e6),
  "model.safetensors": await family.readBytes("model.safetensors", 1e6),
};
const CONFIG = JSON.parse(new TextDecoder().decode(WHOLE["config.json"]));

const withFiles = (files: Record<string, string | Uint8Array>) =>
  openModel(new MemoryFolder("m", { ...WHOLE, ...files }));
const json = (value: unknown) => JSON.stringify(value);
const notesOf = async (files: Record<string, string | Uint8Array>) =>
  (await withFiles(files)).notes;

Deno.test("model folder: what transformers would open besides is named, once for each reason", async () => {
  const cases: [string[], RegExp][] = [
    [["modeling_x.py", "tokenization_x.py"], /^modeling_x\.py and tokenization_x\.py: left out/],
    [["a.py", "b.py", "c.py", "d.py", "e.py"], /^a\.py, b\.py, c\.py and 2 more: left out/],
    [["custom_generate/generate.py"], /^custom_generate\/: left out/],
    [["pytorch_model.bin"], /^pytorch_model\.bin: passed over, .* from model\.safetensors$/],
    [
      ["model-00001-of-00002.safetensors", "model.safetensors.index.json"],
      /^model-00001-of-00002\.safetensors and model\.safetensors\.index\.json: passed over/,
    ],
    [["model.q8.gguf", "tf_model.h5", "flax_model.msgpack"], /^flax_.*, model\.q8\.gguf and tf_/],
    [["onnx/model.onnx", "onnx/model.onnx_data"], /^onnx\/model\.onnx and onnx\/model\.onnx_data:/],
    [["original/consolidated.00.pth", "params.json"], /^original\/ and params\.json: passed over/],
    [["adapter_config.json", "adapter_model.safetensors"], /^adapter_config.* the adapter is not/],
    [["quantize_config.json"], /^quantize_config\.json: passed over/],
    [["preprocessor_config.json", "video_preprocessor_config.json"], /language models only$/],
    [["processor_config.json"], /language models only$/],
    [["modules.json", "1_Pooling/config.json"], /^1_Pooling\/ and modules\.json: passed over/],
    [["tokenizer.4.0.json"], /^tokenizer\.4\.0\.json: passed over/],
  ];
  for (const [files, message] of cases) {
    const notes = await notesOf(Object.fromEntries(files.map((file) => [file, "{}"])));
    assert.equal(notes.length, 1, `${files}: ${notes}`);
    assert.match(notes[0], message);
  }
});

Deno.test("model folder: what is used, carried on, or of no consequence is not spoken of", async () => {
  const silent = [
    "README.md",
    "LICENSE",
    ".gitattributes",
    "training_args.bin",
    "optimizer.pt",
    "rng_state_0.pth",
    "some.png",
    "generation_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "configuration_lopper.py",
    "modeling_lopper.py",
  ];
  assert.deepEqual(await notesOf(Object.fromEntries(silent.map((file) => [file, "{}"]))), []);
});

Deno.test("model folder: keys that name code are named, Lopper's own are not", async () => {
  const auto_map = { AutoModel: "modeling_x.Model" };
  assert.deepEqual(
    await notesOf({
      "config.json": json({ ...CONFIG, auto_map, text: { custom_pipelines: {} } }),
      "tokenizer_config.json": json({ auto_map }),
    }),
    [
      "auto_map of config.json, custom_pipelines of config.json and auto_map of tokenizer_config.json: " +
      "left out, since Lopper runs no code of a model and hands none on",
    ],
  );
  const own = { AutoConfig: "configuration_lopper.LopperLlamaConfig" };
  assert.deepEqual(await notesOf({ "config.json": json({ ...CONFIG, auto_map: own }) }), []);
  const mixed = json({ ...CONFIG, auto_map: { ...own, ...auto_map } });
  assert.equal((await notesOf({ "config.json": mixed })).length, 1);
});

Deno.test("model folder: texts end at the end tokens of generation_config.json and of config.json", async () => {
  const ends = async (config: unknown, generation: unknown) => {
    const { architecture } = await withFiles({
      "config.json": json({ ...CONFIG, eos_token_id: config }),
      ...(generation !== undefined && {
        "generation_config.json": json({ eos_token_id: generation }),
      }),
    });
    return architecture.eosTokenIds;
  };
  assert.deepEqual(await ends(1, [5, 1, 7]), [1, 5, 7]);
  assert.deepEqual(await ends([2, 1], 1), [2, 1]);
  assert.deepEqual(await ends(null, 4), [4]);
  assert.deepEqual(await ends(3, null), [3]);
  assert.deepEqual(await ends([3, 4], undefined), [3, 4]);
});

Deno.test("model folder: one with an ONNX decoder is read like any other", async () => {
  const onnx = new FileFolder(fileURLToPath(new URL("../../onnx/llama-untied-optimum", LLAMA_URL)));
  const files: Record<string, Uint8Array | string> = {};
  for (const file of await onnx.list()) files[file] = await onnx.readBytes(file, 1e7);
  const model = await openModel(
    new MemoryFolder("m", {
      ...files,
      "generation_config.json": json({ eos_token_id: [2, 5] }),
      "model_quantized.onnx": "",
      "onnx/decoder.onnx_data": "",
      "x.py": "",
    }),
  );
  assert.deepEqual(model.architecture.eosTokenIds, [2, 5]);
  assert.deepEqual(model.notes, [
    "model_quantized.onnx and onnx/decoder.onnx_data: passed over, since the weights are read from model.onnx",
    "x.py: left out, since Lopper runs no code of a model and hands none on",
  ]);
});

Deno.test("model folder: end tokens that generation_config.json adds leave the digest as it is", async () => {
  const plain = await modelDigest(await withFiles({}));
  const more = await withFiles({ "generation_config.json": json({ eos_token_id: [9, 8] }) });
  assert.equal(await modelDigest(more), plain);
  const other = await withFiles({ "config.json": json({ ...CONFIG, eos_token_id: [9, 8] }) });
  assert.notEqual(await modelDigest(other), plain);
});

Deno.test("model folder: a malformed file that goes along is one sentence, when the model is opened", async () => {
  const cases: [string, string, RegExp][] = [
    ["generation_config.json", "{", /m\/generation_config\.json: not JSON/],
    ["generation_config.json", '{"eos_token_id": "</s>"}', /generation_config\.json: eos_token_id/],
    ["generation_config.json", "[]", /generation_config\.json: the whole/],
    ["tokenizer_config.json", "[1", /m\/tokenizer_config\.json: not JSON/],
    ["tokenizer_config.json", '{"chat_template": 3}', /chat_template: it needs to be a text/],
    [
      "tokenizer_config.json",
      '{"chat_template": [{"name": "a"}]}',
      /chat_template: it needs to be/,
    ],
    ["chat_template.json", "7", /m\/chat_template\.json: the whole/],
    [
      "tokenizer_config.json",
      `${'{"a":'.repeat(99)}1${"}".repeat(99)}`,
      /nested more than 64 deep/,
    ],
  ];
  for (const [file, content, message] of cases) {
    await assert.rejects(withFiles({ [file]: content }), (error: Error) => {
      assert.ok(error instanceof CheckpointFormatError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
  const bytes = new Uint8Array([0x41, 0xc3, 0x28]);
  await assert.rejects(
    withFiles({ "chat_template.jinja": bytes }),
    /chat_template\.jinja: not UTF-8/,
  );
});

Deno.test("model folder: weights that the config names and Lopper does not read are refused", async () => {
  const named = (file: string) =>
    withFiles({ "config.json": json({ ...CONFIG, transformers_weights: file }) });
  await assert.rejects(named("other.safetensors"), (error: Error) => {
    assert.ok(error instanceof UnsupportedModelError);
    assert.match(
      error.message,
      /transformers_weights is "other\.safetensors"; Lopper reads model\./,
    );
    return true;
  });
  assert.equal((await named("model.safetensors")).notes.length, 0);
});

Deno.test("model folder: strings that end texts are passed over by name", async () => {
  const config = json({ stop_strings: ["END"] });
  assert.match(
    (await notesOf({ "generation_config.json": config }))[0],
    /stop_strings of generation/,
  );
});

Deno.test("chat templates: files come before the tokenizer's config, and that before chat_template.json", async () => {
  const places: Record<string, string>[] = [
    { "chat_template.json": json({ chat_template: "C" }) },
    { "tokenizer_config.json": json({ chat_template: "B" }) },
    { "chat_template.jinja": "\ufeffA" },
  ];
  let files: Record<string, string> = { "tokenizer_config.json": "{}" };
  assert.deepEqual(await templatesOf(files), { templates: [], notes: [] });
  for (const [i, place] of places.entries()) {
    files = { ...files, ...place };
    const { templates, notes } = await templatesOf(files);
    assert.deepEqual(templates, [{ name: "default", template: "CBA"[i] }]);
    assert.equal(notes.length, i);
  }
});

Deno.test("chat templates: named ones are found in every form", async () => {
  const named = { default: "D", tool_use: "T" };
  const list = Object.entries(named).map(([name, template]) => ({ name, template }));
  const forms: Record<string, string>[] = [
    { "tokenizer_config.json": json({ chat_template: list }) },
    { "tokenizer_config.json": json({ chat_template: named }) },
    { "chat_template.json": json({ chat_template: list }) },
    { "chat_template.jinja": "D", "additional_chat_templates/tool_use.jinja": "T" },
  ];
  for (const form of forms) {
    assert.deepEqual(await templatesOf(form), { templates: list, notes: [] });
  }
  // The same twice is nothing to speak of.
  assert.deepEqual(
    await templatesOf({ ...forms[0], ...forms[3] }),
    { templates: list, notes: [] },
  );
  const { templates } = await templatesOf({ "additional_chat_templates/rag.jinja": "R" });
  assert.deepEqual(templates, [{ name: "rag", template: "R" }]);
});

async function templatesOf(files: Record<string, string>) {
  return await readChatTemplates(await KnownFolder.of(new MemoryFolder("m", files)));
}

Deno.test("known folder: it stays what it was when it was looked at", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/there`, "x");
    await Deno.mkdir(`${dir}/inner`);
    await Deno.writeTextFile(`${dir}/inner/deep`, "y");
    const known = await KnownFolder.of(new FileFolder(dir), ["inner", "none"]);
    await Deno.writeTextFile(`${dir}/later`, "z");
    await Deno.remove(`${dir}/inner`, { recursive: true });
    assert.deepEqual(await known.list(), ["inner", "there"]);
    assert.deepEqual([await known.has("there"), await known.has("inner")], [true, false]);
    assert.equal(await known.has("later"), false);
    await assert.rejects(known.open("later"), /there is no file later/);
    assert.deepEqual(await known.folder("inner").list(), ["deep"]);
    await assert.rejects(
      known.folder("inner").open("deep"),
      /inner\/deep: the file was there when/,
    );
    await assert.rejects(known.open("../there"), /cannot leave/);
    await Deno.remove(dir, { recursive: true });
    await assert.rejects(known.readBytes("there", 10), /there: the file was there when .* is gone/);
  } finally {
    await Deno.remove(dir, { recursive: true }).catch(() => {});
  }
});

Deno.test("known folder: entries that no model's files are called like are in nobody's way", async () => {
  const dir = await Deno.makeTempDir();
  try {
    for (const [file, bytes] of Object.entries(WHOLE)) {
      await Deno.writeFile(`${dir}/${file}`, bytes);
    }
    await Deno.writeTextFile(`${dir}/model.safetensors:Zone.Identifier`, "");
    await Deno.writeTextFile(`${dir}/a:b.bin`, "");
    await Deno.symlink("itself", `${dir}/itself`);
    const { notes, ...model } = await openModel(new FileFolder(dir));
    model[Symbol.dispose]();
    assert.deepEqual(notes, []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("model folder: a link to nothing where a file is expected is named", async () => {
  const dir = await Deno.makeTempDir();
  try {
    for (const [file, bytes] of Object.entries(WHOLE)) {
      await Deno.writeFile(`${dir}/${file}`, bytes);
    }
    await Deno.symlink("nowhere", `${dir}/generation_config.json`);
    await Deno.mkdir(`${dir}/chat_template.jinja`);
    const { notes, ...model } = await openModel(new FileFolder(dir));
    model[Symbol.dispose]();
    assert.deepEqual(notes, [
      "chat_template.jinja and generation_config.json: passed over, neither a file nor a link to one",
    ]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
