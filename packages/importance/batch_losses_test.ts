import { openBackend } from "@lopper/backends";
import { denseShape } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { CalibrationSet } from "./calibration.ts";
import type { Criterion, PredictionCriterion, TextCriterion } from "./criteria/criterion.ts";
import { kl } from "./criteria/kl.ts";
import { perplexity } from "./criteria/perplexity.ts";
import { SuffixScorer } from "./suffix_scorer.ts";

const FOLDER = fileURLToPath(new URL("../../tests/fixtures/families/qwen2", import.meta.url));

/** Criteria of one's own: what a file of criteria/ has, and nothing else. */
const halfway = {
  name: "halfway",
  is: "the mean of the loss of the text and the divergence",
  note: null,
  needs: "predictions",
  async loss(read, { base, predictions }) {
    const [nll, crossEntropy] = [await read.nll(), await read.crossEntropy(predictions)];
    return nll.map((value, i) => (value + base[i] + crossEntropy[i]) / 2);
  },
} as const satisfies PredictionCriterion;
const capped = {
  name: "capped",
  is: "the loss of the text, of which no token has more than 3 nats",
  note: null,
  needs: "text",
  loss: async (read) => (await read.nll()).map((value) => Math.min(3, value)),
} as const satisfies TextCriterion;

Deno.test({
  name:
    "losses: a criterion of one's own decides on scores, and asks the dense model if it needs it",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { backend } = await openBackend("cpu", { threads: 1 });
    const model = await openModel(new FileFolder(FOLDER));
    const decoder = new Decoder(backend, await LaidOutWeights.load(model));
    const sequences = Array.from(
      { length: 5 },
      (_, s) =>
        Array.from({ length: 7 }, (_, i) => (7 * s * s + 13 * i) % model.architecture.vocabSize),
    );
    const set: CalibrationSet = { sequences, length: 7, ignoredLabel: null, digest: "sha256:x" };
    const shape = denseShape(decoder.blocks).with(1, null);
    const score = async (criterion: Criterion) => {
      const options = { cacheBytes: 0, batchTokens: 14, judge: { criterion, dense: decoder } };
      const scorer = new SuffixScorer(decoder, set, options);
      const before = decoder.blockTokens;
      const heard: number[] = [];
      await scorer.prepare((done) => void heard.push(done));
      const asked = decoder.blockTokens > before;
      assert.equal(asked, criterion.needs === "predictions", criterion.name);
      assert.deepEqual(heard, asked ? [2, 4, 5] : [], criterion.name);
      return (await scorer.evaluate(shape)).sequenceNll;
    };
    const [text, divergence] = [await score(perplexity), await score(kl)];
    const between = await score(halfway);
    text.forEach((value, i) =>
      assert.ok(Math.abs(between[i] - (value + divergence[i]) / 2) < 1e-5, `sequence ${i}`)
    );
    assert.ok((await score(capped)).every((value, i) => value <= 3 && value < text[i]));
    await decoder.dispose();
    await backend[Symbol.asyncDispose]();
    model[Symbol.dispose]();
  },
});
