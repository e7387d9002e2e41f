import { openBackend } from "@lopper/backends";
import { denseShape } from "@lopper/core";
import { openModel } from "@lopper/models";
import { FileFolder } from "@lopper/files";
import { type CalibrationSet, SuffixScorer } from "@lopper/importance";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { advance, batched, begin, lossesOf, lossOf } from "./pass.ts";

const MODEL = fileURLToPath(
  new URL("../../tests/fixtures/families/llama-missing-blocks", import.meta.url),
);

Deno.test({
  name: "pass: from wherever a text is, its loss is that of the whole model",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { backend } = await openBackend("cpu", { threads: 1 });
    const model = await openModel(new FileFolder(MODEL));
    const decoder = new Decoder(
      backend,
      await LaidOutWeights.load(model),
    );
    const sequences = [1, 2, 3, 4, 5].map((s) => [s, 7, s + 2, 9, s]);
    const set: CalibrationSet = { sequences, length: 5, ignoredLabel: 9, digest: "sha256:test" };
    const shape = denseShape(decoder.blocks);
    const { sequenceNll } = await new SuffixScorer(decoder, set, { cacheBytes: 0 })
      .evaluate(shape);
    const pass = await begin(decoder, batched(set, 10));
    const sizes = await Promise.all([0, 1, 2].map((b) => pass.states.read(b)));
    assert.deepEqual(sizes.map(({ batch }) => batch), [2, 2, 1]);
    assert.equal(pass.states.length, 3);
    for (const end of [0, 1, 3, shape.length]) {
      await advance(decoder, shape, pass, end);
      assert.equal(pass.block, end);
      const loss = await lossOf(decoder, shape, pass, lossesOf(pass.text));
      loss.forEach((value, i) =>
        assert.ok(Math.abs(value - sequenceNll[i]) < 1e-5, `before block ${end}, sequence ${i}`)
      );
    }
    await decoder.dispose();
    await backend[Symbol.asyncDispose]();
    model[Symbol.dispose]();
  },
});
