import { FileFolder } from "@lopper/files";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { modelDigest } from "./model.ts";
import { openModel } from "./open_model.ts";

const FAMILIES = fileURLToPath(new URL("../../tests/fixtures/families", import.meta.url));

/**
 * Plans, journals and records of earlier versions have them: how they begin, by the folder of the
 * model.
 */
const DIGESTS = {
  "llama-legacy-config": "6d35063a837a842e",
  "llama-mha": "51524a49cb3bd28e",
  "llama-missing-blocks": "1ecacf1e7bcc35b5",
  "llama-mqa": "03bb3f6caee6e236",
  "llama-odd-head": "d7d93e9dca7ccdec",
  "llama-rope-linear": "d7f42c9f87474ec7",
  "llama-rope-llama3": "fc31632b4521607a",
  "llama-sharded": "f4548924f57459a1",
  "mistral": "ef66d18028a9ec98",
  "mistral-sliding": "eaf8fa93feca35bb",
  "olmo2": "06ba795c68c401f9",
  "qwen2": "272a2b2caaf9f0a2",
  "qwen2-heterogeneous": "870df781c55549f2",
  "qwen2-untied-bf16": "e417cfb2ca2d0fd0",
  "qwen3": "6e794b39f7e71374",
  "qwen3-tied-mqa": "88562dc5537e5d9f",
};

for (const [name, beginning] of Object.entries(DIGESTS)) {
  Deno.test(`digest of ${name}: the one that it always had`, async () => {
    const model = await openModel(new FileFolder(`${FAMILIES}/${name}`));
    const digest = await modelDigest(model);
    assert.equal(digest.slice(0, "sha256:".length + beginning.length), `sha256:${beginning}`);
    model[Symbol.dispose]();
  });
}
