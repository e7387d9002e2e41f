import { openBackend } from "@lopper/backends";
import { FileSource } from "@lopper/files";
import { openGgufModel } from "@lopper/models";
import { Decoder, LaidOutWeights, sequenceLogits } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { maxAbsDifference } from "@lopper/backends/testing";

/** Models of the gguf package, and some that llama.cpp's converter made. */
const FOLDERS = ["models", "families"].map((name) =>
  fileURLToPath(new URL(`fixtures/gguf/${name}`, import.meta.url))
);

interface Expected {
  readonly tolerance: number;
  readonly cases: readonly {
    readonly input_ids: readonly (readonly number[])[];
    /** Little-endian float32, `[B, T, V]`, in base64. */
    readonly logits: string;
  }[];
}

const files = FOLDERS.flatMap((folder) =>
  [...Deno.readDirSync(folder)].flatMap(({ name }) =>
    name.endsWith(".gguf") ? [`${folder}/${name}`] : []
  )
);

for (const path of files) {
  const file = path.split("/").slice(-2).join("/");
  Deno.test({
    name: `logits of ${file} are those of transformers`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const expected: Expected = JSON.parse(
        await Deno.readTextFile(path.replace(/gguf$/, "json")),
      );
      const { backend } = await openBackend("cpu", { threads: 1 });
      const model = await openGgufModel(await FileSource.open(path));
      const weights = await LaidOutWeights.load(model);
      const decoder = new Decoder(backend, weights);
      assert.ok(expected.cases.length > 0);
      for (const { input_ids, logits } of expected.cases) {
        const wanted = Uint8Array.from(atob(logits), (c) => c.charCodeAt(0));
        const difference = maxAbsDifference(
          await sequenceLogits(decoder, input_ids),
          new Float32Array(wanted.buffer),
        );
        assert.ok(difference <= expected.tolerance, `off by ${difference}`);
      }
      await decoder.dispose();
      model[Symbol.dispose]();
    },
  });
}
