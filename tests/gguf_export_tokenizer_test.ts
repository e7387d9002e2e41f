import { ExportError } from "@lopper/core";
import { DEMO_MODEL } from "@lopper/demo-model";
import { FileFolder, FileSource } from "@lopper/files";
import { MemoryFolder, MemorySink, MemorySource, readGgufHeader, writeGguf } from "@lopper/formats";
import { GgufFolder, openModel } from "@lopper/models";
import { openTokenizer } from "@lopper/tokenizers";
import { checkTokenizer } from "@lopper/tokenizers/testing";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { tokenizerMetadata } from "../packages/exports/gguf/tokenizer.ts";

const FIXTURES = fileURLToPath(new URL("fixtures", import.meta.url));

Deno.test("GGUF export: a tokenizer that splits text in a way of its own is refused", async () => {
  const model = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
  const change = async (with_: Record<string, unknown>) => {
    const bytes = await model.folder.readBytes("tokenizer.json", 1e7);
    const json = { ...JSON.parse(new TextDecoder().decode(bytes)), ...with_ };
    const folder = new MemoryFolder("changed", { "tokenizer.json": JSON.stringify(json) });
    return (await tokenizerMetadata({ ...model, folder })).entries;
  };
  const pre = (await change({})).find(({ key }) => key === "tokenizer.ggml.pre");
  assert.ok(pre?.type === "string" && pre.value === "gpt-2");
  for (
    const changed of [
      { pre_tokenizer: { type: "Whitespace" } },
      { pre_tokenizer: { type: "ByteLevel", add_prefix_space: true, use_regex: true } },
      { normalizer: { type: "Lowercase" } },
    ]
  ) {
    await assert.rejects(change(changed), ExportError);
  }
  model[Symbol.dispose]();
});

Deno.test("GGUF export: tokens that only the files beside tokenizer.json list are in the vocabulary", async () => {
  const demo = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
  const json = JSON.parse(
    new TextDecoder().decode(await demo.folder.readBytes("tokenizer.json", 1e7)),
  );
  const { vocab } = json.model;
  const next = Object.keys(vocab).length;
  const entries = [{ content: "<|user|>", special: true }, { content: "<tool>" }];
  const added_tokens_decoder = Object.fromEntries(entries.map((token, i) => [next + i, token]));
  const architecture = { ...demo.architecture, vocabSize: next + 3 };
  const config = { added_tokens_decoder, pad_token: "<pad>" };
  const folder = new MemoryFolder("more", {
    "tokenizer.json": JSON.stringify({ ...json, added_tokens: [] }),
    "tokenizer_config.json": JSON.stringify(config),
  });
  const { entries: written } = await tokenizerMetadata({ ...demo, architecture, folder });
  const found = (key: string) => {
    const entry = written.find((entry) => entry.key === `tokenizer.ggml.${key}`)!;
    return "values" in entry ? entry.values.slice(next) : entry.value;
  };
  assert.deepEqual(found("tokens"), ["<|user|>", "<tool>", "<pad>"]);
  assert.deepEqual(found("token_type"), [3, 4, 3]);
  assert.equal(found("padding_token_id"), next + 2);
  demo[Symbol.dispose]();
});

Deno.test("GGUF export: tokenizers of GGUF files give the same ids when they went through tokenizer.json", async () => {
  const json = await Deno.readTextFile(`${FIXTURES}/gguf/tokenizers/expected.json`);
  const names = ["default", "gpt-2", "smollm", "llama-bpe", "qwen2", "spm", "spm-no-prefix", "t5"];
  const demo = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
  for (const name of names) {
    const source = await FileSource.open(`${FIXTURES}/gguf/tokenizers/${name}.gguf`);
    const first = new GgufFolder((await readGgufHeader(source)).metadata, {});
    const files: Record<string, Uint8Array> = {};
    for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
      files[file] = await first.readBytes(file, 1e7);
    }
    const { added_tokens, model } = JSON.parse(new TextDecoder().decode(files["tokenizer.json"]));
    const own = Array.isArray(model.vocab)
      ? model.vocab.map((_: unknown, id: number) => id)
      : Object.values<number>(model.vocab);
    const rows = Math.max(
      ...own,
      ...added_tokens.map(({ id }: { id: number }) => id),
    ) + 1;
    const architecture = { ...demo.architecture, vocabSize: rows, eosTokenIds: [] };
    const folder = new MemoryFolder(name, files);
    const { entries } = await tokenizerMetadata({ ...demo, architecture, folder });
    const sink = new MemorySink();
    await writeGguf(sink, entries, []);
    await sink.commit();
    const { metadata } = await readGgufHeader(new MemorySource(name, sink.bytes));
    using tokenizer = await openTokenizer(new GgufFolder(metadata, {}));
    await checkTokenizer(tokenizer, name, json);
    source.close();
  }
  demo[Symbol.dispose]();
});
