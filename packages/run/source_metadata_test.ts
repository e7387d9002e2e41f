import { MemoryFolder, MemorySource } from "@lopper/formats";
import type { Entry } from "@lopper/formats/testing";
import { openGgufModel } from "@lopper/models";
import { tinyGguf } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { sourceMetadata } from "./source_metadata.ts";

async function ofGguf(entries: readonly Entry[]) {
  using model = await openGgufModel(new MemorySource("m.gguf", tinyGguf({ entries })));
  return await sourceMetadata(model.folder);
}

Deno.test("source's metadata: a GGUF file says in its keys what a folder says in its card", async () => {
  const expected = {
    license: ["other"],
    license_name: "some-terms",
    license_link: "https://example.org/terms",
    language: ["en", "no"],
    datasets: [],
    base_model: [],
    tags: [],
  };
  const entries: readonly Entry[] = [
    ["general.license", "string", "other"],
    ["general.license.name", "string", "some-terms"],
    ["general.license.link", "string", "https://example.org/terms"],
    ["general.languages", "array", "string", ["en", "no"]],
    // the parent of the model, not what the file was made of
    ["general.base_model.0.repo_url", "string", "https://huggingface.co/some/base"],
  ];
  assert.deepEqual(await ofGguf(entries), expected);
  assert.equal(await ofGguf([]), null);
  assert.deepEqual((await ofGguf([["general.license", "uint32", 3]]))?.license, []);

  const yaml = "license: other\nlicense_name: some-terms\n" +
    "license_link: https://example.org/terms\nlanguage: [en, no]";
  const folder = new MemoryFolder("m", { "README.md": `---\n${yaml}\n---\n` });
  assert.deepEqual(await sourceMetadata(folder), expected);
});
