import { CheckpointFormatError } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { MemoryFolder } from "@lopper/formats";
import { openModel } from "../open_model.ts";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const path = (name: string) =>
  fileURLToPath(new URL(`../../../tests/fixtures/${name}`, import.meta.url));
const LLAMA = new FileFolder(path("families/llama-mha"));
const ONNX = new FileFolder(path("onnx/llama-untied-optimum"));
const read = (folder: FileFolder, file: string) => folder.readBytes(file, 1e7);
const CONFIG = JSON.parse(new TextDecoder().decode(await read(LLAMA, "config.json")));
const ROWS: number = CONFIG.vocab_size;

type Json = Readonly<Record<string, unknown>>;

/** A model whose files are changed; each is JSON. */
async function open(files: Readonly<Record<string, Json>>) {
  const texts = Object.fromEntries(
    Object.entries(files).map(([name, json]) => [name, JSON.stringify(json)]),
  );
  const whole = {
    "config.json": await read(LLAMA, "config.json"),
    "model.safetensors": await read(LLAMA, "model.safetensors"),
  };
  const model = await openModel(new MemoryFolder("m", { ...whole, ...texts }));
  model[Symbol.dispose]();
  return model;
}

async function refuses(files: Readonly<Record<string, Json>>, message: RegExp) {
  await assert.rejects(open(files), (error: Error) => {
    assert.ok(error instanceof CheckpointFormatError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

const bpe = (vocab: unknown, added_tokens: unknown = []): Record<string, Json> => ({
  "tokenizer.json": { model: { type: "BPE", vocab, merges: [] }, added_tokens },
});
const unigram = (vocab: unknown, unk_id: unknown = 0): Record<string, Json> => ({
  "tokenizer.json": { model: { type: "Unigram", vocab, unk_id } },
});
/** A vocabulary with a token for every row. */
const full = Object.fromEntries(Array.from({ length: ROWS }, (_, id) => [`t${id}`, id]));

Deno.test("tokens of a model: each one has a row of the embedding, whatever file it is from", async () => {
  const beyond = (file: string, what: string, id = ROWS) =>
    new RegExp(
      `^m/${file}\\.json: the ${what} has the id ${id}, and the embedding has ${ROWS} rows`,
    );
  await open(bpe(full));
  await refuses(bpe({ ...full, "<x>": ROWS }), beyond("tokenizer", 'token "<x>"'));
  await refuses(bpe({ a: 0, b: 4000 }), beyond("tokenizer", 'token "b"', 4000));
  const pad = [{ id: ROWS, content: "<pad>" }];
  await refuses(bpe(full, pad), beyond("tokenizer", 'added token "<pad>"'));
  const list = Array.from({ length: ROWS + 1 }, (_, i) => [`t${i}`, -i]);
  await open(unigram(list.slice(0, ROWS)));
  await refuses(unigram(list), beyond("tokenizer", `token "t${ROWS}"`));
  const decoder = { [ROWS]: { content: "<tool>" } };
  const config = (json: Json) => ({ ...bpe(full), "tokenizer_config.json": json });
  await refuses(
    config({ added_tokens_decoder: decoder }),
    beyond("tokenizer_config", 'added token "<tool>"'),
  );
  for (
    const named of [
      { pad_token: "<new>" },
      { image_token: "<new>" },
      { extra_special_tokens: { x: "<new>" } },
      { extra_special_tokens: ["<new>"] },
      { additional_special_tokens: [{ content: "<new>" }] },
    ]
  ) await refuses(config(named), beyond("tokenizer_config", 'added token "<new>"'));
  await refuses(
    { ...bpe(full), "added_tokens.json": { "<old>": ROWS } },
    beyond("added_tokens", 'added token "<old>"'),
  );
});

Deno.test("tokens of a model: those that are put around a text have rows", async () => {
  const around = (post_processor: unknown) => ({
    "tokenizer.json": { ...bpe(full)["tokenizer.json"], post_processor },
  });
  const template = (ids: unknown) => ({
    type: "Sequence",
    processors: [{ type: "TemplateProcessing", special_tokens: { "<s>": { id: "<s>", ids } } }],
  });
  const beyond = new RegExp(
    `"<s>" of the post_processor has the id ${ROWS}, and the embedding has`,
  );
  await open(around(template([ROWS - 1])));
  await refuses(around(template([1, ROWS])), beyond);
  await refuses(around(template(["1"])), /"<s>" of the post_processor has the id "1"/);
  await refuses(around(template(undefined)), /"<s>" of the post_processor has no id/);
  const pair = (id: unknown) => ({ type: "RobertaProcessing", sep: ["<s>", id], cls: ["t1", 1] });
  await open(around(pair(2)));
  await refuses(around(pair(ROWS)), beyond);
});

Deno.test("tokens of a model: an ONNX decoder's have rows, too", async () => {
  const files: Record<string, Uint8Array | string> = {};
  for (const file of ["config.json", "model.onnx"]) files[file] = await read(ONNX, file);
  const vocab = Object.fromEntries(Array.from({ length: 5000 }, (_, id) => [`t${id}`, id]));
  const [[name, text]] = Object.entries(bpe(vocab));
  const folder = new MemoryFolder("m", { ...files, [name]: JSON.stringify(text) });
  await assert.rejects(openModel(folder), /m\/tokenizer\.json: the token "t40" has the id 40, /);
});

Deno.test("tokens of a model: ids are whole numbers from 0, and each has one token", async () => {
  const ids: [unknown, string][] = [
    [-1, "the id -1"],
    [1.5, "the id 1.5"],
    ["3", 'the id "3"'],
    [null, "no id"],
    [{}, "the id {}"],
    [true, "the id true"],
    [1e300, "the id 1e\\+300"],
  ];
  for (const [id, found] of ids) {
    await refuses(
      bpe({ a: 0, b: id }),
      RegExp(`tokenizer\\.json: the token "b" has ${found}; ids`),
    );
    await refuses(
      bpe({ a: 0 }, [{ id, content: "<x>" }]),
      RegExp(`the added token "<x>" has ${id === null ? "no id" : found}; ids`),
    );
  }
  await refuses(bpe({ a: 0 }, [{ content: "<x>" }]), /the added token "<x>" has no id/);
  await refuses(bpe({ a: 0, b: 0 }), /the tokens "a" and "b" have the same id, 0/);
  await refuses(bpe({ a: 0 }, [{ id: 0, content: "<x>" }]), /"a" and "<x>" have the same id, 0/);
  await refuses(
    {
      ...bpe({ a: 0 }),
      "tokenizer_config.json": { added_tokens_decoder: { x: { content: "<x>" } } },
    },
    /tokenizer_config\.json: the added token "<x>" has the id "x"/,
  );
});

Deno.test("tokens of a model: an id that a token has by the other files or by its place stays", async () => {
  const a = { a: 0, b: 1 };
  await refuses(bpe(a, [{ id: 7, content: "b" }]), /"b" has the id 7, .* elsewhere it has 1/);
  await refuses(bpe(a, [{ id: 7, content: "<x>" }]), /"<x>" has the id 7, .* place .* it has 2/);
  const config = { added_tokens_decoder: { 3: { content: "<x>" } } };
  await refuses(
    { ...bpe(a, [{ id: 2, content: "<x>" }]), "tokenizer_config.json": config },
    /tokenizer_config\.json: .*"<x>" has the id 3, .* elsewhere it has 2/,
  );
});

Deno.test("tokens of a model: a vocabulary is one of its model's kind", async () => {
  const kinds = /tokenizer\.json: model\.vocab: (it needs an object|a Unigram needs a list)/;
  for (const vocab of [undefined, null, 7, "a"]) await refuses(bpe(vocab), kinds);
  await refuses(unigram({ a: 0 }), kinds);
  for (const entry of ["a", ["a"], ["a", "1"], [1, 2], null, ["a", null]]) {
    await refuses(unigram([["x", 0], entry]), /number 1 of the vocabulary, has no score/);
  }
  await refuses(unigram([["x", 0]], 1), /unk_id is 1, and there are 1 tokens/);
  await refuses(unigram([["x", 0]], -1), /unk_id\) has the id -1/);
});

Deno.test("tokens of a model: those that configs name by id have rows, but for the padding that is none", async () => {
  const config = (ids: Json) => ({ "config.json": { ...CONFIG, ...ids } });
  const generation = (ids: Json) => ({ "generation_config.json": ids });
  const message = (file: string, key: string) =>
    new RegExp(`^m/${file}\\.json: ${key} is ${ROWS}, and the embedding has ${ROWS} rows`);
  for (const key of ["bos_token_id", "eos_token_id", "pad_token_id"]) {
    await refuses(config({ [key]: ROWS }), message("config", key));
    await refuses(generation({ [key]: ROWS }), message("generation_config", key));
  }
  await refuses(
    generation({ eos_token_id: [1, ROWS] }),
    message("generation_config", "eos_token_id"),
  );
  await refuses(generation({ bos_token_id: -1 }), /bos_token_id has the id -1/);
  await open({ ...config({ pad_token_id: -1 }), ...generation({ pad_token_id: -1 }) });
});

Deno.test("tokens of a model: tokens that transformers does not take are passed over by name", async () => {
  const files = (config: Json) => ({
    ...bpe({ a: 0 }),
    "tokenizer_config.json": config,
    "added_tokens.json": { a: 0, "<x>": 1, "<y>": 2 },
  });
  const { notes } = await open(files({ added_tokens_decoder: {} }));
  assert.deepEqual(notes, [
    '"a" and 2 more of added_tokens.json: passed over as a token, as transformers does',
  ]);
  assert.deepEqual((await open(files({}))).notes, []);
  const map = { ...bpe(full), "special_tokens_map.json": { eos_token: "t1", pad_token: "<p>" } };
  const listed = { "tokenizer_config.json": { eos_token: "t1", added_tokens_decoder: {} } };
  const named = await open({ ...map, ...listed });
  assert.match(named.notes.join(), /^"<p>" of special_tokens_map\.json: passed over/);
  const lists = { extra_special_tokens: ["t1"], additional_special_tokens: ["t1", "<q>"] };
  const both = await open({ ...bpe(full), "tokenizer_config.json": lists });
  assert.match(both.notes.join(), /^"<q>" of additional_special_tokens of .*: passed over/);
});
