import { openBackend } from "@lopper/backends";
import { type BlockSize, blocksLeft, denseShape, headCostInBlocks, type Shape } from "@lopper/core";
import { openModel } from "@lopper/models";
import { FileFolder } from "@lopper/files";
import { Decoder, LaidOutWeights, sequenceLogits } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { keptBytes } from "./block_inputs.ts";
import type { CalibrationSet } from "./calibration.ts";
import { shuffled } from "./draw.ts";
import { sequenceMeans } from "./perplexity.ts";
import type { Scorable } from "./scorer.ts";
import { SuffixScorer } from "./suffix_scorer.ts";
import { kl } from "./criteria/kl.ts";
import { rankByWeights } from "./rank_by_weights.ts";
import { l1 } from "./rankings/l1.ts";

const FIXTURE = fileURLToPath(
  new URL("../../tests/fixtures/families/qwen2-heterogeneous", import.meta.url),
);
const LENGTH = 12;
const BATCH_TOKENS = 2 * LENGTH;

async function withDecoder(
  body: (decoder: Decoder, set: CalibrationSet) => Promise<void>,
  salt = 13,
) {
  const { backend } = await openBackend("cpu", { threads: 1 });
  const model = await openModel(new FileFolder(FIXTURE));
  const decoder = new Decoder(
    backend,
    await LaidOutWeights.load(model, { ranking: await rankByWeights(model, l1) }),
  );
  const sequences = Array.from(
    { length: 5 },
    (_, s) =>
      Array.from(
        { length: LENGTH },
        (_, i) => (7 * s * s + salt * i + s) % model.architecture.vocabSize,
      ),
  );
  await body(decoder, { sequences, length: LENGTH, ignoredLabel: 13, digest: "sha256:test" });
  await decoder.dispose();
  await backend[Symbol.asyncDispose]();
  model[Symbol.dispose]();
}

function scorerTest(name: string, body: Parameters<typeof withDecoder>[0]) {
  Deno.test({
    name: `scorer: ${name}`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => withDecoder(body),
  });
}

/** Every block removed once, and narrowed once where that is possible. */
function candidatesOf(shape: Shape): Scorable[] {
  return shape.flatMap((size, first) => {
    if (!size) return [];
    const { kvGroups, channels } = size;
    const narrower: BlockSize | null = kvGroups > 1
      ? { kvGroups: kvGroups - 1 }
      : channels > 8
      ? { channels: channels - 8 }
      : null;
    return [null, ...(narrower ? [narrower] : [])]
      .map((left) => ({ first, shape: shape.with(first, left) }));
  });
}

/** Mean NLL of every sequence of the set, batch by batch. */
async function scoreOn(
  scorer: SuffixScorer,
  base: Shape,
  candidate: Scorable | null,
): Promise<number[]> {
  const nll: number[] = [];
  for (const [b, numbers] of scorer.batches.entries()) {
    (await scorer.score(base, candidate, b)).forEach((mean, i) => nll[numbers[i]] = mean);
  }
  return nll;
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

const copy = (decoder: Decoder) => keptBytes(decoder.architecture, LENGTH, BATCH_TOKENS);
for (
  const [what, copies, order] of [
    ["room for everything", 1e6, undefined],
    ["room for one batch of three", 3, undefined],
    ["room for two batches, in another order", 6, shuffled(5, 7)],
    ["room for nothing", 0, undefined],
  ] as const
) {
  scorerTest(
    `scores are those of full passes, whatever was taken before, with ${what}`,
    async (decoder, set) => {
      const scorer = new SuffixScorer(decoder, set, {
        cacheBytes: copies * copy(decoder),
        batchTokens: BATCH_TOKENS,
        order,
      });
      assert.equal(scorer.keptBatches, Math.min(3, Math.max(1, Math.floor(copies / 3))));
      assert.deepEqual(scorer.batches.flat().toSorted(), [0, 1, 2, 3, 4]);
      const full = new SuffixScorer(decoder, set, {
        cacheBytes: 0,
        batchTokens: BATCH_TOKENS,
        order,
      });
      let base = denseShape(decoder.blocks);
      for (let step = 0; step < 6; step++) {
        const candidates = candidatesOf(base);
        const means: number[] = [];
        for (const candidate of candidates) {
          const nll = await scoreOn(scorer, base, candidate);
          assert.deepEqual(nll, (await full.evaluate(candidate.shape)).sequenceNll);
          means.push(mean(nll));
          if (means.at(-1) === Math.min(...means)) scorer.favour(candidate.shape);
        }
        assert.deepEqual(
          await scoreOn(scorer, base, null),
          (await full.evaluate(base)).sequenceNll,
          "the base plan itself",
        );
        // the best; then, so that kept inputs must be rebuilt, others; then after letting go of all
        const best = means.indexOf(Math.min(...means));
        const choice = [best, candidates.length - 1, 0, best, Math.floor(candidates.length / 2)];
        base = candidates[choice[step % choice.length]].shape;
        if (step === 3) scorer.release();
      }
    },
  );
}

scorerTest(
  "against the dense model, a score is its NLL and the KL divergence of predictions from its",
  async (decoder, set) => {
    const { vocabSize } = decoder.architecture;
    const whole = denseShape(decoder.blocks);
    const options = { cacheBytes: 1e9, batchTokens: BATCH_TOKENS };
    const byText = new SuffixScorer(decoder, set, options);
    const scorer = new SuffixScorer(decoder, set, {
      ...options,
      judge: { criterion: kl, dense: decoder },
    });
    const logProbs = async (of: Shape) => {
      const logits = await sequenceLogits(decoder, set.sequences, of);
      return Array.from({ length: logits.length / vocabSize }, (_, i) => {
        const row = Array.from(logits.subarray(i * vocabSize, (i + 1) * vocabSize));
        const sum = row.reduce((sum, x) => sum + Math.exp(x), 0);
        return row.map((x) => x - Math.log(sum));
      });
    };
    const dense = await logProbs(whole);
    const before = await scoreOn(byText, whole, null);
    let unlike = 0;
    for (const candidate of candidatesOf(whole)) {
      const pruned = await logProbs(candidate.shape);
      const divergence = dense.map((row, i) =>
        // As many tokens are named as there are, or those that have nearly all of the probability.
        row.reduce((sum, p, token) => sum + Math.exp(p) * (p - pruned[i][token]), 0)
      );
      const expected = sequenceMeans(
        Float32Array.from(divergence),
        set.sequences,
        set.ignoredLabel,
      ).map((mean, s) => before[s] + mean);
      const found = await scoreOn(scorer, whole, candidate);
      found.forEach((value, s) =>
        assert.ok(Math.abs(value - expected[s]) < 1e-4, `${value} ${expected[s]}`)
      );
      assert.deepEqual((await scorer.evaluate(candidate.shape)).sequenceNll, found);
      const nll = await scoreOn(byText, whole, candidate);
      if (nll.some((value, s) => Math.abs(value - found[s]) > 1e-3)) unlike += 1;
    }
    assert.ok(unlike > 0, "it is not the NLL of the text");
    const itself = await scoreOn(scorer, whole, null);
    itself.forEach((value, s) => assert.ok(Math.abs(value - before[s]) < 1e-5));
    const tokens = await scorer.tokenNll(whole);
    assert.deepEqual(tokens, await byText.tokenNll(whole), "tokens have their NLL as ever");
  },
);

scorerTest(
  "a favoured candidate is the next base plan without running a block again",
  async (decoder, set) => {
    const scorer = new SuffixScorer(decoder, set, { cacheBytes: 1e9, batchTokens: BATCH_TOKENS });
    const whole = denseShape(decoder.blocks);
    const [first, ...others] = candidatesOf(whole);
    assert.equal(first.first, 0, "where all blocks come after it, running them would show");
    await scoreOn(scorer, whole, first);
    scorer.favour(first.shape);
    for (const other of others) await scoreOn(scorer, whole, other);
    const second = candidatesOf(first.shape);
    const head = headCostInBlocks(decoder.architecture, LENGTH);
    for (const candidate of second) {
      const after = blocksLeft(candidate.shape.slice(candidate.first));
      const before = decoder.blockTokens;
      await scoreOn(scorer, first.shape, candidate);
      const cost = decoder.blockTokens - before;
      assert.ok(Math.abs(cost - scorer.tokens * (after + head)) < 1e-6 * cost);
    }
  },
);

scorerTest("the base plan runs no further than a candidate asks for", async (decoder, set) => {
  const scorer = new SuffixScorer(decoder, set, { cacheBytes: 1e9, batchTokens: BATCH_TOKENS });
  const whole = denseShape(decoder.blocks);
  const candidate = candidatesOf(whole).find((c) => c.first >= 2)!;
  const before = decoder.blockTokens;
  await scorer.perturbation(whole, candidate, 0);
  const blocks = blocksLeft(whole.slice(0, candidate.first + 1));
  const changed = candidate.shape[candidate.first] ? 1 : 0;
  assert.equal(decoder.blockTokens - before, BATCH_TOKENS * (blocks + changed));
});

scorerTest(
  "a perturbation is the mean squared change of a block's output, by token",
  async (decoder, set) => {
    const scorer = new SuffixScorer(decoder, set, { cacheBytes: 1e9, batchTokens: BATCH_TOKENS });
    const { hiddenSize } = decoder.architecture;
    const whole = denseShape(decoder.blocks);
    for (const candidate of candidatesOf(whole)) {
      const block = candidate.first;
      const batch = set.sequences.slice(0, 2);
      const input = await decoder.embed(batch);
      const upTo = async (l: Shape) => {
        let hidden = input;
        for (let b = 0; b <= block; b++) hidden = await decoder.runBlock(b, l, hidden);
        return hidden.data;
      };
      const [before, after] = [await upTo(whole), await upTo(candidate.shape)];
      const tokens = Array.from({ length: BATCH_TOKENS }, (_, t) => {
        const rows = [before, after].map((x) => x.subarray(t * hiddenSize, (t + 1) * hiddenSize));
        const square = (x: Float32Array) => x.reduce((sum, v) => sum + v * v, 0);
        return square(rows[0].map((v, i) => v - rows[1][i])) / square(rows[0]);
      });
      const found = await scorer.perturbation(whole, candidate, 0);
      assert.ok(Math.abs(found - mean(tokens)) < 1e-5 * mean(tokens), `${found}, ${mean(tokens)}`);
      assert.ok(found > 0);
    }
  },
);

scorerTest(
  "a full pass costs the blocks that are left and the head, times tokens",
  async (decoder, set) => {
    const scorer = new SuffixScorer(decoder, set, { cacheBytes: 1e9 });
    const head = headCostInBlocks(decoder.architecture, LENGTH);
    assert.equal(scorer.tokens, 5 * LENGTH);
    const whole = denseShape(decoder.blocks);
    for (const { shape } of [{ shape: whole }, ...candidatesOf(whole)]) {
      const expected = scorer.tokens * (blocksLeft(shape) + head);
      assert.ok(Math.abs(scorer.fullCost(shape) - expected) < 1e-9 * expected);
      const before = decoder.blockTokens;
      const heard: number[] = [];
      await scorer.evaluate(shape, (done) => heard.push(done));
      assert.equal(heard.at(-1), scorer.tokens);
      assert.ok(Math.abs(decoder.blockTokens - before - expected) < 1e-9 * expected);
      // Scoring it as a base plan from nothing costs the same.
      const again = decoder.blockTokens;
      await scoreOn(new SuffixScorer(decoder, set, { cacheBytes: 0 }), shape, null);
      assert.ok(Math.abs(decoder.blockTokens - again - expected) < 1e-9 * expected);
    }
  },
);
