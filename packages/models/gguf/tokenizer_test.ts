import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { FileSource } from "@lopper/files";
import { openTokenizer } from "@lopper/tokenizers";
import { checkTokenizer } from "@lopper/tokenizers/testing";
import { GgufFolder } from "./gguf_folder.ts";
import { readGgufHeader } from "@lopper/formats";

const FIXTURES = fileURLToPath(new URL("../../../tests/fixtures/gguf/tokenizers", import.meta.url));
const EXPECTED = await Deno.readTextFile(`${FIXTURES}/expected.json`);

for (const { name: file } of Deno.readDirSync(FIXTURES)) {
  if (!file.endsWith(".gguf")) continue;
  Deno.test(`GGUF tokenizer ${file} gives the ids of llama.cpp`, async () => {
    const source = await FileSource.open(`${FIXTURES}/${file}`);
    const { metadata } = await readGgufHeader(source);
    using tokenizer = await openTokenizer(new GgufFolder(metadata, {}));
    await checkTokenizer(tokenizer, file.replace(/\.gguf$/, ""), EXPECTED);
    const text = "The apple tree, 12.";
    assert.equal(await tokenizer.decode(await tokenizer.encode(text)), text);
    source.close();
  });
}
