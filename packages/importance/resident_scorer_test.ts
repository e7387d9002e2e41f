import { openBackend } from "@lopper/backends";
import { denseShape } from "@lopper/core";
import { openModel } from "@lopper/models";
import { FileFolder } from "@lopper/files";
import { Decoder, LaidOutWeights, ResidentDecoder } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { CalibrationSet } from "./calibration.ts";
import { ResidentScorer } from "./resident_scorer.ts";
import { SuffixScorer } from "./suffix_scorer.ts";
import { kl } from "./criteria/kl.ts";
import { rankByWeights } from "./rank_by_weights.ts";
import { l1 } from "./rankings/l1.ts";

const FIXTURE = fileURLToPath(
  new URL("../../tests/fixtures/families/qwen2-heterogeneous", import.meta.url),
);
const LENGTH = 12;

Deno.test({
  name: "resident scorer: the scores, batches and full cost of scoring by suffix, at full price",
  // The engine keeps a thread pool for the life of the process.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { backend } = await openBackend("cpu", { threads: 1 });
    const model = await openModel(new FileFolder(FIXTURE));
    const weights = await LaidOutWeights.load(model, { ranking: await rankByWeights(model, l1) });
    const sequences = Array.from(
      { length: 5 },
      (_, s) =>
        Array.from(
          { length: LENGTH },
          (_, i) => (7 * s * s + 13 * i + s) % model.architecture.vocabSize,
        ),
    );
    const set: CalibrationSet = {
      sequences,
      length: LENGTH,
      ignoredLabel: 13,
      digest: "sha256:test",
    };
    const options = { batchTokens: 2 * LENGTH, order: [4, 0, 3, 1, 2] };
    const decoder = new Decoder(backend, weights);
    const resident = new ResidentDecoder(backend, weights);
    const bySuffix = new SuffixScorer(decoder, set, { cacheBytes: 1e9, ...options });
    const scorer = new ResidentScorer(resident, set, options);

    assert.deepEqual(scorer.batches, [[4, 0], [3, 1], [2]]);
    assert.deepEqual(scorer.batches, bySuffix.batches);
    assert.equal(scorer.tokens, bySuffix.tokens);
    const whole = denseShape(decoder.blocks);
    assert.equal(scorer.fullCost(whole), bySuffix.fullCost(whole));

    const close = (a: readonly number[], b: readonly number[]) =>
      a.length === b.length && a.every((x, i) => Math.abs(x - b[i]) < 1e-5);
    const first = decoder.blocks.findIndex(({ kind }) => kind === "mlp");
    const changed = whole.with(first, null);
    const candidate = { shape: changed, first };
    for (const batch of scorer.batches.keys()) {
      const dense = await scorer.score(whole, null, batch);
      const without = await scorer.score(whole, candidate, batch);
      assert.ok(close(dense, await bySuffix.score(whole, null, batch)));
      assert.ok(close(without, await bySuffix.score(whole, candidate, batch)));
      assert.ok(!close(without, dense), "the candidate makes a difference");
    }
    const dense = { ...options, judge: { criterion: kl, dense: decoder } };
    const judged = new ResidentScorer(resident, set, dense);
    const expectedJudgement = await new SuffixScorer(decoder, set, { cacheBytes: 0, ...dense })
      .evaluate(changed);
    const judgement = await judged.evaluate(changed);
    assert.ok(close(judgement.sequenceNll, expectedJudgement.sequenceNll));
    assert.ok(!close(judgement.sequenceNll, (await scorer.evaluate(changed)).sequenceNll));
    const before = resident.blockTokens;
    let heard = 0;
    const { perplexity, sequenceNll } = await scorer.evaluate(changed, (done) => heard = done);
    const expected = await bySuffix.evaluate(changed);
    assert.ok(close(sequenceNll, expected.sequenceNll));
    assert.ok(Math.abs(perplexity / expected.perplexity - 1) < 1e-5);
    assert.equal(heard, scorer.tokens);
    const spent = resident.blockTokens - before;
    assert.ok(Math.abs(spent / scorer.fullCost(changed) - 1) < 1e-9);

    await resident.dispose();
    await decoder.dispose();
    await backend[Symbol.asyncDispose]();
    model[Symbol.dispose]();
  },
});
