import { openBackend } from "@lopper/backends";
import { FileFolder } from "@lopper/files";
import type { TensorStore } from "@lopper/formats";
import { type Model, openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Decoder } from "./decoder.ts";
import { sequenceLogits } from "./forward.ts";
import { streamedLogits } from "./streamed_logits.ts";
import { LaidOutWeights } from "./weight_layout.ts";

const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/families", import.meta.url));
const IDS = [3, 1, 4, 1, 5, 9, 2, 6];

/** A store that writes down what is read. */
function watched(model: Model, read: string[]): Model {
  const store: TensorStore = {
    tensors: model.store.tensors,
    readBytes: (...args) => model.store.readBytes(...args),
    readFloat32: (name) => (read.push(name), model.store.readFloat32(name)),
    readHalves: (name) => (read.push(name), model.store.readHalves(name)),
    close: () => {},
  };
  return { ...model, store };
}

for (const family of ["llama-missing-blocks", "qwen2-heterogeneous", "qwen3-tied-mqa"]) {
  Deno.test({
    name: `streamed logits: those of the whole model, layer after layer: ${family}`,
    // The engine keeps a thread pool for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { backend } = await openBackend("cpu", { threads: 1 });
      const model = await openModel(new FileFolder(`${FIXTURES}/${family}`));
      const weights = await LaidOutWeights.load(model);
      const decoder = new Decoder(backend, weights);
      const expected = await sequenceLogits(decoder, [IDS]);
      await decoder.dispose();
      const read: string[] = [];
      assert.deepEqual(await streamedLogits(backend, watched(model, read), IDS), expected);
      const layersRead = read.flatMap((name) => /layers\.(\d+)/.exec(name)?.[1] ?? []).map(Number);
      assert.deepEqual(layersRead, layersRead.toSorted((a, b) => a - b));
      assert.equal(layersRead.length, new Set(read.filter((n) => /layers/.test(n))).size, "once");
      assert.equal(read.filter((name) => /embed_tokens/.test(name)).length >= 2, true);
      await backend[Symbol.asyncDispose]();
      model[Symbol.dispose]();
    },
  });
}
