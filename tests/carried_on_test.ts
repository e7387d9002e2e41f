/** Chat templates, end tokens and terms go with a model through every format. */
import { densePlan } from "@lopper/core";
import { exportGguf, exportOnnx, exportSafetensors } from "@lopper/exports";
import { FileFolder } from "@lopper/files";
import { MemoryFolder, MemorySource, readGgufHeader } from "@lopper/formats";
import { type Entry } from "@lopper/formats/testing";
import { type Model, openGgufModel, openModel, writePrunedModel } from "@lopper/models";
import { float32Tensor, tinyGguf } from "@lopper/models/testing";
import { readChatTemplates } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { MemoryOutput, prunedInMemory } from "./support/heterogeneous.ts";
import { withTokenizer } from "./support/with_tokenizer.ts";

const LLAMA = new FileFolder(
  fileURLToPath(new URL("fixtures/families/llama-mha", import.meta.url)),
);
const plain = await openModel(LLAMA);
const tokenizer = JSON.parse(
  new TextDecoder().decode(await withTokenizer(plain).readBytes("tokenizer.json", 1e6)),
);
const vocab: Readonly<Record<string, number>> = tokenizer.model.vocab;
const letter = (id: number) => Object.entries(vocab).find(([, value]) => value === id)![0];
/** The end token that the tokenizer names. */
const EOS = 7;

/** A Llama with a byte-level tokenizer and further files, or others of the same name. */
async function withFiles(files: Readonly<Record<string, unknown>>): Promise<Model> {
  const all: Record<string, Uint8Array | string> = {
    "model.safetensors": await LLAMA.readBytes("model.safetensors", 1e7),
  };
  const written = {
    "config.json": { ...plain.config, eos_token_id: EOS },
    "tokenizer.json": tokenizer,
    "tokenizer_config.json": { eos_token: letter(EOS) },
    ...files,
  };
  for (const [file, content] of Object.entries(written)) {
    all[file] = typeof content === "string" ? content : JSON.stringify(content);
  }
  return await openModel(new MemoryFolder("m", all));
}

/** The metadata that an export to GGUF has, by key, and what it says besides. */
async function exported(model: Model) {
  const output = new MemoryOutput();
  const { notes = [] } = await exportGguf(model, output.open, { title: "m", precision: "fp32" });
  const bytes = output.files["m.gguf"];
  const { metadata } = await readGgufHeader(new MemorySource("m.gguf", bytes));
  const entries = await Promise.all(metadata.keys().map((key) => metadata.entry(key)));
  const values = entries.map((e) => [e.key, e.type === "array" ? e.values : e.value] as const);
  const reopened = () => openGgufModel(new MemorySource("m.gguf", bytes));
  return { values: new Map(values), notes, reopened };
}

Deno.test("carried on: chat templates of every place are in a GGUF file, named as llama.cpp's converter names them", async () => {
  const list = [{ name: "default", template: "D" }, { name: "tool-use", template: "T" }];
  for (
    const files of [
      { "tokenizer_config.json": { chat_template: list } },
      { "chat_template.json": { chat_template: list } },
      { "chat_template.jinja": "D", "additional_chat_templates/tool-use.jinja": "T" },
    ]
  ) {
    const model = await withFiles(files);
    // pruned before, too
    for (const source of [model, await prunedInMemory(model, densePlan(model.architecture, ""))]) {
      const { values, reopened } = await exported(source);
      const templates = [...values].filter(([key]) => key.startsWith("tokenizer.chat_template"));
      assert.deepEqual(templates, [
        ["tokenizer.chat_template.tool_use", "T"],
        ["tokenizer.chat_templates", ["tool_use"]],
        ["tokenizer.chat_template", "D"],
      ]);
      const { templates: again } = await readChatTemplates((await reopened()).folder);
      assert.deepEqual(again, [list[0], { name: "tool_use", template: "T" }]);
    }
  }
  const single = await exported(await withFiles({ "chat_template.jinja": "S" }));
  assert.equal(single.values.get("tokenizer.chat_template"), "S");
  assert.equal(single.values.has("tokenizer.chat_templates"), false);
  const only = await exported(await withFiles({ "additional_chat_templates/rag.jinja": "R" }));
  assert.equal(only.values.get("tokenizer.chat_template.rag"), "R");
  assert.equal(only.values.has("tokenizer.chat_template"), false);
  const clash = {
    "additional_chat_templates/a-b.jinja": "",
    "additional_chat_templates/a_b.jinja": "",
  };
  await assert.rejects(exported(await withFiles(clash)), /"a_b" would be named like another/);
});

Deno.test("carried on: terms lie beside all that is made of a model", async () => {
  const terms = ["LICENSE", "Llama-LICENSE.txt", "NOTICE.md", "USE_POLICY.md"];
  const others = ["README.md", "licensing.json", "license.py", "notices"];
  const model = await withFiles(Object.fromEntries([...terms, ...others].map((f) => [f, f])));
  const writers = {
    gguf: (open: MemoryOutput["open"]) => exportGguf(model, open, { title: "m" }),
    safetensors: (open: MemoryOutput["open"]) => exportSafetensors(model, open),
    onnx: (open: MemoryOutput["open"]) => exportOnnx(model, open),
    prune: (open: MemoryOutput["open"]) =>
      writePrunedModel(model, densePlan(model.architecture, ""), open),
  };
  for (const [name, write] of Object.entries(writers)) {
    const output = new MemoryOutput();
    const { files } = await write(output.open);
    assert.deepEqual(files.filter((file) => terms.includes(file)), terms, name);
    assert.deepEqual([...files].sort(), Object.keys(output.files).sort(), name);
    assert.deepEqual(Object.keys(output.files).filter((file) => others.includes(file)), [], name);
  }
});

Deno.test("carried on: end tokens are those of a GGUF file, as many as it has room for; others are named", async () => {
  const ends = async (ids: readonly number[], files = {}) => {
    const model = await withFiles({ "generation_config.json": { eos_token_id: ids }, ...files });
    const { values, notes, reopened } = await exported(model);
    const key = (name: string) => values.get(`tokenizer.ggml.${name}_token_id`);
    const { architecture } = await reopened();
    const again = architecture.eosTokenIds.filter((id) => [EOS, ...ids].includes(id));
    return { keys: [key("eos"), key("eot"), key("eom")], notes, again };
  };
  const none = await ends([EOS]);
  assert.deepEqual(none, { keys: [EOS, undefined, undefined], notes: [], again: [EOS] });
  assert.deepEqual((await ends([EOS, 40])).keys, [EOS, 40, undefined]);
  assert.deepEqual((await ends([41, EOS, 40])).keys, [EOS, 41, 40]);
  // more than there is room for
  const more = await ends([40, 41, 42, 43]);
  assert.deepEqual(more.keys, [EOS, 40, 41]);
  assert.deepEqual(more.notes.map((note) => note.replace(/ends no text.*/, "")), [
    `${JSON.stringify(letter(42))} (token 42) `,
    `${JSON.stringify(letter(43))} (token 43) `,
  ]);
  assert.deepEqual(more.again, [EOS, 40, 41]);

  // what llama.cpp knows by its text needs no room, and is what it is
  const texts: Record<number, string> = { 40: "<|return|>", 41: "<|eom_id|>", 42: "<|im_end|>" };
  const named = Object.fromEntries(
    Object.entries(vocab).map(([token, id]) => [texts[id] ?? token, id]),
  );
  const renamed = { ...tokenizer, model: { ...tokenizer.model, vocab: named } };
  const known = await ends([40, 41, 42, 43, 44], { "tokenizer.json": renamed });
  assert.deepEqual(known.keys, [EOS, 42, 41]);
  assert.equal(known.notes.length, 2, "room is for those that a message and a turn end with");
  assert.deepEqual(known.again.toSorted((a, b) => a - b), [EOS, 40, 41, 42]);
});

Deno.test("carried on: what a GGUF file says of its tokenizer and its terms is in the next one, and in a folder between", async () => {
  const tokens = [
    "<unk>",
    "<s>",
    "</s>",
    "a",
    "b",
    "ab",
    "Ġ",
    "Ġab",
    "<|turn|>",
    "<|msg|>",
    "<|hole|>",
  ];
  const entries: Entry[] = [
    ["tokenizer.ggml.tokens", "array", "string", tokens],
    ["tokenizer.ggml.token_type", "array", "int32", [2, 3, 3, 1, 1, 1, 1, 1, 3, 3, 3]],
    ["tokenizer.ggml.eot_token_id", "uint32", 8],
    ["tokenizer.ggml.eom_token_id", "uint32", 9],
    ["tokenizer.ggml.fim_pre_token_id", "uint32", 10],
    ["tokenizer.chat_template", "string", "D"],
    ["tokenizer.chat_template.tool_use", "string", "T"],
    ["tokenizer.chat_templates", "array", "string", ["tool_use"]],
    ["tokenizer.ggml.odd", "string", "kept"],
    ["general.license", "string", "mit"],
    ["general.tags", "array", "string", ["a", "b"]],
    ["general.base_model.0.name", "string", "x"],
    ["general.size_label", "string", "7B"],
  ];
  const embedding = float32Tensor("token_embd.weight", [tokens.length, 32], [
    ...Array.from({ length: tokens.length * 32 }, (_, i) => (i * 37 % 61) / 61 - 0.5),
  ]);
  const file = tinyGguf({ entries, tensors: [embedding] });
  const model = await openGgufModel(new MemorySource("m.gguf", file));
  const direct = await exported(model);
  for (const [key, , ...rest] of entries) {
    const value = rest.at(-1);
    assert.deepEqual(direct.values.get(key), key === "general.size_label" ? undefined : value, key);
  }

  const between = await prunedInMemory(model, densePlan(model.architecture, ""));
  assert.deepEqual(between.architecture.eosTokenIds, model.architecture.eosTokenIds);
  assert.deepEqual((await readChatTemplates(between.folder)).templates, [
    { name: "default", template: "D" },
    { name: "tool_use", template: "T" },
  ]);
  const again = await exported(between);
  // What is unknown is a control token to tokenizer.json.
  const kept = entries.slice(0, 8).filter(([key]) => key !== "tokenizer.ggml.token_type");
  for (const [key, , ...rest] of kept) {
    assert.deepEqual(again.values.get(key), rest.at(-1), key);
  }
  assert.deepEqual(
    (await again.reopened()).architecture.eosTokenIds,
    model.architecture.eosTokenIds,
  );
});
