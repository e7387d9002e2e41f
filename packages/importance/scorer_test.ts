import { openBackend } from "@lopper/backends";
import { headCostInBlocks, type LayerSpec, replaceLayer } from "@lopper/core";
import { openModel } from "@lopper/model-io";
import { FileFolder } from "@lopper/model-io/files";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { CalibrationSet } from "./calibration.ts";
import { type Scorable, SuffixScorer } from "./scorer.ts";
import { weightOrder } from "./weight_order.ts";

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
  const decoder = new Decoder(backend, await LaidOutWeights.load(model, await weightOrder(model)));
  const sequences = Array.from(
    { length: 5 },
    (_, s) =>
      Array.from({ length: LENGTH }, (_, i) => (7 * s * s + salt * i + s) % model.spec.vocabSize),
  );
  await body(decoder, { sequences, length: LENGTH, ignoredLabel: 13, digest: "sha256:test" });
  await decoder.dispose();
  await backend.dispose();
  model.close();
}

/** Every block removed once, and every MLP and attention narrowed once where that is possible. */
function candidatesOf(layers: readonly LayerSpec[]): Scorable[] {
  return layers.flatMap(({ attention, mlp }, layer) => {
    const found: Scorable[] = [];
    const add = (kind: "attention" | "mlp", change: Partial<LayerSpec>) =>
      found.push({ layer, kind, layers: replaceLayer(layers, layer, change) });
    if (attention) add("attention", { attention: null });
    if (mlp) add("mlp", { mlp: null });
    if (attention && attention.kvHeads > 1) {
      const kvHeads = attention.kvHeads - 1;
      const queryHeads = attention.queryHeads / attention.kvHeads * kvHeads;
      add("attention", { attention: { queryHeads, kvHeads } });
    }
    if (mlp && mlp.intermediateSize > 8) {
      add("mlp", { mlp: { intermediateSize: mlp.intermediateSize - 8 } });
    }
    return found;
  });
}

function worstOf(kind: string, candidates: readonly Scorable[], ppl: readonly number[]): number {
  const worst = Math.max(...ppl.filter((_, i) => candidates[i].kind === kind));
  return ppl.indexOf(worst);
}

async function scoreAll(scorer: SuffixScorer, trunk: readonly LayerSpec[], candidates: Scorable[]) {
  const step = scorer.scoreStep(trunk, candidates);
  let update = await step.next();
  let last = 0;
  while (!update.done) {
    assert.ok(update.value.done > last, "progress grows");
    last = update.value.done;
    update = await step.next();
  }
  assert.ok(Math.abs(last - candidates.length) < 1e-9, "and ends at the number of candidates");
  return update.value;
}

for (const [what, cacheBytes] of [["one portion", 1e9], ["several portions", 1]] as const) {
  Deno.test({
    name: `suffix scores are those of full passes, over several steps, in ${what}`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      withDecoder(async (decoder, set) => {
        const options = { cacheBytes, batchTokens: BATCH_TOKENS };
        const scorer = new SuffixScorer(decoder, set, options);
        const full = new SuffixScorer(decoder, set, options);
        let trunk = decoder.spec.layers;
        for (let step = 0; step < 6; step++) {
          const candidates = candidatesOf(trunk);
          const scores = await scoreAll(scorer, trunk, candidates);
          for (const [i, { layers }] of candidates.entries()) {
            const expected = await full.evaluate(layers);
            assert.deepEqual(scores[i].sequenceNll, expected.sequenceNll, `step ${step}, ${i}`);
            assert.equal(scores[i].perplexity, expected.perplexity);
          }
          const ppl = scores.map(({ perplexity }) => perplexity);
          // the best; then, so that kept inputs must be rebuilt, the worst of each kind; then after letting go of all
          const choices = [
            ppl.indexOf(Math.min(...ppl)),
            worstOf("mlp", candidates, ppl),
            worstOf("attention", candidates, ppl),
            worstOf("mlp", candidates, ppl),
          ];
          trunk = candidates[choices[step % 4]].layers;
          if (step === 3) scorer.release();
        }
        assert.equal(full.fullBlockTokens, scorer.fullBlockTokens);
      }),
  });
}

Deno.test({
  name: "a taken best candidate is the next trunk without running a block again",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    let early = 0;
    for (let salt = 1; salt <= 8; salt++) {
      await withDecoder(async (decoder, set) => {
        const options = { cacheBytes: 1e9, batchTokens: BATCH_TOKENS };
        const scorer = new SuffixScorer(decoder, set, options);
        const { layers } = decoder.spec;
        const first = candidatesOf(layers);
        const ppl = (await scoreAll(scorer, layers, first)).map(({ perplexity }) => perplexity);
        const best = first[ppl.indexOf(Math.min(...ppl))];
        // where many blocks come after it, running them again would show
        if (best.layer < 2 && best !== first.at(-1)) early += 1;
        // The cost of the next step is that of its suffixes alone.
        const second = candidatesOf(best.layers);
        const head = headCostInBlocks(decoder.spec, LENGTH);
        const expected = second.reduce((sum, candidate) => {
          const from = 2 * candidate.layer + (candidate.kind === "mlp" ? 1 : 0);
          const blocks = candidate.layers.flatMap(({ attention, mlp }) => [attention, mlp]);
          const run = blocks.slice(from).filter((block) => block).length;
          return sum + scorer.tokens * (run + head);
        }, 0);
        const before = decoder.blockTokens;
        await scoreAll(scorer, best.layers, second);
        assert.ok(Math.abs(decoder.blockTokens - before - expected) < 1e-6 * expected);
      }, salt);
    }
    assert.ok(early > 0, "no case in which it would have mattered");
  },
});

Deno.test({
  name: "a candidate whose perplexity is NaN is not kept as the best, even the first",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withDecoder(async (decoder, set) => {
      let broken = true;
      const head = decoder.nll.bind(decoder);
      decoder.nll = async (stream, labels) => {
        const nll = await head(stream, labels);
        return broken ? nll.fill(NaN) : nll;
      };
      const scorer = new SuffixScorer(decoder, set, { cacheBytes: 1e9, batchTokens: BATCH_TOKENS });
      const { layers } = decoder.spec;
      // removing the first block changes all after it
      const [first, ...others] = candidatesOf(layers);
      const step = scorer.scoreStep(layers, [first, others[0]]);
      let update = await step.next();
      while (!update.done) {
        broken = update.value.done < 1;
        update = await step.next();
      }
      const [unusable, best] = update.value;
      assert.ok(Number.isNaN(unusable.perplexity) && Number.isFinite(best.perplexity));
      const before = decoder.blockTokens;
      await scoreAll(scorer, others[0].layers, []);
      assert.equal(decoder.blockTokens, before, "the trunk of the next step was there already");
    }),
});

Deno.test({
  name: "what full passes would have cost is blocks that are left and the head, times tokens",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withDecoder(async (decoder, set) => {
      const scorer = new SuffixScorer(decoder, set, { cacheBytes: 1e9 });
      const { layers } = decoder.spec;
      const head = headCostInBlocks(decoder.spec, LENGTH);
      const present = layers.flatMap(({ attention, mlp }) => [attention, mlp]).filter((b) => b)
        .length;
      const tokens = 5 * LENGTH;
      assert.equal(scorer.tokens, tokens);
      assert.equal(scorer.fullBlockTokens, 0);
      const heard: number[] = [];
      await scorer.evaluate(layers, (done) => heard.push(done));
      assert.equal(heard.at(-1), tokens);
      assert.ok(Math.abs(scorer.fullBlockTokens - tokens * (present + head)) < 1e-6);
      assert.ok(Math.abs(decoder.blockTokens - scorer.fullBlockTokens) < 1e-6, "one full pass");
      const narrower = candidatesOf(layers);
      const removed = narrower.filter(({ layers: after, layer, kind }) => !after[layer][kind]);
      await scoreAll(scorer, layers, narrower);
      const expected = tokens * ((narrower.length + 1) * (present + head) - removed.length);
      assert.ok(Math.abs(scorer.fullBlockTokens - expected) < 1e-6 * expected);
      scorer.release();
      assert.ok(Math.abs(scorer.fullBlockTokens - expected) < 1e-6 * expected, "release counts");
    }),
});
