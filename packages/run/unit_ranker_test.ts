import { openBackend } from "@lopper/backends";
import { denseShape } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import {
  type ActivationRule,
  type CalibrationSet,
  PUBLISHED_RANKING,
  rankByMoments,
  rankByWeights,
  type RankingRule,
  rankingsOf,
  SuffixScorer,
  type WeightRule,
} from "@lopper/importance";
import { openModel, weightsOfBlock } from "@lopper/models";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import { searchModelOf } from "@lopper/search";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { UnitRanker } from "./unit_ranker.ts";

const FOLDER = fileURLToPath(new URL("../../tests/fixtures/families/qwen2", import.meta.url));
const LENGTH = 11;

/**
 * Rankings by other statistics: what a file of packages/importance/rankings has, and nothing else.
 */
const biggest = {
  name: "biggest",
  goesBy: "the largest weight that they are computed with",
  dimensions: ["channels"],
  needs: "weights",
  isTried: true,
  async worth({ dimensions: [{ units }] }, _, read) {
    const values = await read({ name: "up", axes: [] });
    const row = values.length / units;
    return Float64Array.from(
      { length: units },
      (_, c) => Math.max(...values.subarray(c * row, (c + 1) * row).map(Math.abs)),
    );
  },
} as const satisfies WeightRule;
const loudest = {
  name: "loudest",
  goesBy: "how large their activations are",
  needs: "activations",
  isTried: true,
  worth: ({ meanSquares }) => meanSquares,
} as const satisfies ActivationRule;

function texts(first: number, vocabSize: number): CalibrationSet {
  const sequences = Array.from(
    { length: 6 },
    (_, s) => Array.from({ length: LENGTH }, (_, i) => (first + 7 * s * s + 13 * i) % vocabSize),
  );
  return { sequences, length: LENGTH, ignoredLabel: null, digest: "sha256:test" };
}

/** A ranker of a tiny model by some rules, and what is told of its progress. */
async function withRanker(
  rules: readonly RankingRule[],
  isCompared: boolean,
  body: (
    rank: (dimension: "channels" | "kvGroups") => ReturnType<UnitRanker["rank"]>,
    context: { readonly decoder: Decoder; readonly progress: (readonly [number, number])[] },
  ) => Promise<void>,
) {
  const { backend } = await openBackend("cpu", { threads: 1 });
  const model = await openModel(new FileFolder(FOLDER));
  const { architecture } = model;
  const published = await rankByWeights(model, PUBLISHED_RANKING);
  const decoder = new Decoder(backend, await LaidOutWeights.load(model, { ranking: published }));
  const progress: (readonly [number, number])[] = [];
  const ranker = new UnitRanker({
    decoder,
    rules,
    byWeights: async (rule) =>
      rule === PUBLISHED_RANKING ? published : await rankByWeights(model, rule),
    text: texts(1, architecture.vocabSize),
    validation: isCompared
      ? new SuffixScorer(decoder, texts(5, architecture.vocabSize), { cacheBytes: 0 })
      : null,
    batchTokens: 2 * LENGTH,
    onProgress: (done, total) => void progress.push([done, total]),
  });
  const { parameters: resource } = searchModelOf(architecture);
  const shape = denseShape(decoder.blocks);
  const rank = (dimension: "channels" | "kvGroups") =>
    ranker.rank({ dimension, shape, percent: 20, resource });
  try {
    await body(rank, { decoder, progress });
  } finally {
    await decoder.dispose();
    await backend[Symbol.asyncDispose]();
    model[Symbol.dispose]();
  }
}

function engineTest(name: string, fn: () => Promise<void>) {
  Deno.test({
    name: `unit ranker: ${name}`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn,
  });
}

engineTest(
  "a rule of one's own is asked for the units that it ranks, and others go as published",
  () =>
    withRanker([biggest], true, async (rank, { decoder, progress }) => {
      const model = await openModel(new FileFolder(FOLDER));
      const { chosen, tried, units } = await rank("channels");
      assert.deepEqual([chosen, tried], ["biggest", []]);
      const at = decoder.blocks.findIndex(({ kind }) => kind === "mlp");
      const block = decoder.blocks[at];
      const tensor = weightsOfBlock(model, block).get("up")!;
      const values = await model.store.readFloat32(tensor.name);
      const [, columns] = tensor.shape;
      const peaks = units[at]!.map((c) =>
        Math.max(...values.subarray(c * columns, (c + 1) * columns).map(Math.abs))
      );
      assert.deepEqual(peaks, peaks.toSorted((a, b) => b - a));
      assert.notDeepEqual(units[at], decoder.weights.ranking[at]!.channels);
      const heads = await rank("kvGroups");
      assert.equal(heads.chosen, "l1");
      assert.deepEqual(
        heads.units,
        decoder.weights.ranking.map((all) => all?.kvGroups ?? null),
      );
      assert.deepEqual(progress, [], "weights need no text");
      model[Symbol.dispose]();
    }),
);

engineTest(
  "rules of one's own are tried beside the published one, on one pass over the text",
  () =>
    withRanker([PUBLISHED_RANKING, biggest, loudest], true, async (rank, { decoder, progress }) => {
      const before = decoder.weights.ranking;
      const channels = await rank("channels");
      assert.deepEqual(channels.tried.map(({ ranking }) => ranking), ["l1", "biggest", "loudest"]);
      assert.ok(channels.tried.every(({ nll }) => nll.length === 6 && nll.every(Number.isFinite)));
      assert.ok(channels.tried.some(({ ranking }) => ranking === channels.chosen));
      const all = 6 * LENGTH * 4;
      assert.deepEqual([progress[0], progress.at(-1)], [[2 * LENGTH, all], [all, all]]);
      progress.length = 0;
      const heads = await rank("kvGroups");
      assert.deepEqual(heads.tried.map(({ ranking }) => ranking), ["l1", "loudest"]);
      assert.equal(progress.at(-1)![1], 6 * LENGTH * 2, "the text is not read again");
      assert.equal(decoder.weights.ranking, before, "units lie as before until one is applied");
    }),
);

engineTest(
  "without text to compare on, several rules mean the published ranking",
  () =>
    withRanker([PUBLISHED_RANKING, loudest], false, async (rank, { decoder }) => {
      const { chosen, tried, units } = await rank("channels");
      assert.deepEqual([chosen, tried], ["l1", []]);
      assert.deepEqual(
        units,
        decoder.weights.ranking.map((all) => all?.channels ?? null),
      );
    }),
);

engineTest(
  "a rule that needs second moments is the one that ranks, and tells of blocks",
  async () => {
    const [[energy], [compensated]] = [rankingsOf("energy"), rankingsOf("compensated")];
    assert.ok(compensated.needs === "secondMoments");
    await withRanker([compensated], true, async (rank, { decoder, progress }) => {
      const found = await rank("channels");
      assert.deepEqual([found.chosen, found.tried], ["compensated", []]);
      const { architecture, blocks } = decoder;
      const wanted = await rankByMoments(
        decoder,
        denseShape(blocks),
        "channels",
        compensated,
        texts(1, architecture.vocabSize),
        { batchTokens: 2 * LENGTH },
      );
      assert.deepEqual(found.units, wanted);
      assert.equal(progress.at(-1)![1], blocks.length, "up to the last that has channels");
      await withRanker(
        [energy],
        true,
        async (rank) => assert.notDeepEqual((await rank("channels")).units, wanted),
      );
    });
  },
);
