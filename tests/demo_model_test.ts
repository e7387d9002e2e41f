import { openBackend } from "@lopper/backends";
import { DEMO_MODEL } from "@lopper/demo-model";
import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import { Decoder, generate, LaidOutWeights, sequenceLogits } from "@lopper/runtime";
import { openTokenizer } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { maxAbsDifference } from "@lopper/backends/testing";

interface Expected {
  readonly tolerance: number;
  readonly cases: readonly {
    readonly input_ids: readonly number[];
    readonly positions: number;
    readonly logits: string;
  }[];
  readonly greedy: readonly {
    readonly prompt: string;
    readonly input_ids: readonly number[];
    readonly new_ids: readonly number[];
  }[];
}

for (const name of ["cpu", "wasm"] as const) {
  Deno.test({
    name: `the embedded model on ${name} has the logits and the greedy text of transformers`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const file = new URL("fixtures/demo_logits.json", import.meta.url);
      const expected: Expected = JSON.parse(await Deno.readTextFile(file));
      const { backend } = await openBackend(name, {});
      const model = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
      using tokenizer = await openTokenizer(model.folder);
      const decoder = new Decoder(
        backend,
        await LaidOutWeights.load(model),
      );
      for (const { input_ids, positions, logits } of expected.cases) {
        const wanted = new Float32Array(
          Uint8Array.from(atob(logits), (c) => c.charCodeAt(0)).buffer,
        );
        assert.equal(wanted.length, positions * model.architecture.vocabSize);
        const got = (await sequenceLogits(decoder, [input_ids])).subarray(-wanted.length);
        const difference = maxAbsDifference(got, wanted);
        assert.ok(difference <= expected.tolerance, `off by ${difference}`);
      }
      for (const { prompt, input_ids, new_ids } of expected.greedy) {
        assert.deepEqual(await tokenizer.encode(prompt), input_ids);
        const options = { maxTokens: new_ids.length, temperature: 0, seed: 0 };
        assert.deepEqual(await Array.fromAsync(generate(decoder, input_ids, options)), new_ids);
      }
      const sampled = (seed: number) =>
        Array.fromAsync(
          generate(decoder, expected.greedy[0].input_ids, { maxTokens: 12, temperature: 1, seed }),
        );
      assert.deepEqual(await sampled(1), await sampled(1));
      assert.notDeepEqual(await sampled(1), await sampled(2));
      // the longest text that the model takes ends the generation
      const long = Array.from(
        { length: model.architecture.maxPositions - 2 },
        (_, i) => 10 + i % 50,
      );
      const rest = generate(decoder, long, { maxTokens: 99, temperature: 0, seed: 0 });
      assert.equal((await Array.fromAsync(rest)).length, 2);
      await decoder.dispose();
      model[Symbol.dispose]();
    },
  });
}
