import { type Backend, openBackend } from "@lopper/backends";
import { openTinyEngine } from "@lopper/backends/testing";
import { denseShape, mean, type Ranking, type Shape } from "@lopper/core";
import { DEMO_MODEL } from "@lopper/demo-model";
import { FileFolder } from "@lopper/files";
import {
  type CalibrationSet,
  PUBLISHED_RANKING,
  rankByWeights,
  rankingsOf,
  SuffixScorer,
  trialCut,
  type UnitKind,
} from "@lopper/importance";
import { type Model, openModel } from "@lopper/models";
import { UnitRanker } from "@lopper/run";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import { searchModelOf } from "@lopper/search";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { ownText } from "./support/own_text.ts";
import { LIKE_LLAMA, Random, tinyModel } from "./support/tiny_models.ts";

const UNITS: readonly UnitKind[] = ["channels", "kvGroups"];

interface Found {
  readonly chosen: string;
  readonly units: UnitKind;
  /**
   * Loss of text that decided nothing after the cut in the published ranking, and in the one that
   * was taken.
   */
  readonly unseen: { readonly published: number; readonly chosen: number };
}

/** The mean NLL of each sequence under a cut model whose units lie in an order, loaded anew. */
async function lossIn(
  backend: Backend,
  model: Model,
  ranking: Ranking,
  shape: Shape,
  text: CalibrationSet,
): Promise<readonly number[]> {
  const decoder = new Decoder(backend, await LaidOutWeights.load(model, { ranking }));
  const { sequenceNll } = await new SuffixScorer(decoder, text, { cacheBytes: 0 }).evaluate(shape);
  await decoder.dispose();
  return sequenceNll;
}

/**
 * Has both kinds of units of a model ranked as `--ranking auto` does, and checks what was taken
 * against the published ranking.
 */
async function ranked(
  backend: Backend,
  model: Model,
  shape: Shape,
  percent: number,
  { length, random }: { readonly length: number; readonly random: Random },
): Promise<readonly Found[]> {
  const { architecture } = model;
  const whole = new Decoder(backend, await LaidOutWeights.load(model));
  const [text, validation, unseen] = [
    await ownText(whole, 24, length, random),
    await ownText(whole, 16, length, random),
    await ownText(whole, 32, length, random),
  ];
  await whole.dispose();
  const published = await rankByWeights(model, PUBLISHED_RANKING);
  const decoder = new Decoder(backend, await LaidOutWeights.load(model, { ranking: published }));
  const batchTokens = 8 * length;
  const ranker = new UnitRanker({
    decoder,
    rules: rankingsOf("auto"),
    byWeights: () => Promise.resolve(published),
    text,
    validation: new SuffixScorer(decoder, validation, { cacheBytes: 0, batchTokens }),
    batchTokens,
  });
  const found: Found[] = [];
  for (const units of UNITS) {
    if (shape.every((size) => size?.[units] === undefined)) continue;
    const before = decoder.weights.ranking;
    const { parameters: resource } = searchModelOf(architecture);
    const choice = await ranker.rank({ dimension: units, shape, percent, resource });
    await ranker.apply({ dimension: units, ...choice });
    const present = shape.reduce(
      (sum, size, at) => size?.[units] === undefined ? sum : sum + resource.block(at, size),
      0,
    );
    const share = percent / 100 * resource.amount(denseShape(decoder.blocks)) / present;
    const cut = trialCut(shape, units, share);
    const losses = async (set: CalibrationSet) => ({
      published: await lossIn(backend, model, before, cut, set),
      chosen: await lossIn(backend, model, decoder.weights.ranking, cut, set),
    });
    const on = { validation: await losses(validation), unseen: await losses(unseen) };
    const { chosen } = choice;
    for (const { ranking, nll } of choice.tried) {
      const lying = ranking === chosen
        ? on.validation.chosen
        : ranking === "l1"
        ? on.validation.published
        : nll;
      const apart = Math.max(...nll.map((value, i) => Math.abs(value - lying[i])));
      assert.ok(apart < 1e-4, `${units}, ${ranking}: what was tried is what lies there`);
    }
    assert.ok(mean(on.validation.chosen) <= mean(on.validation.published) + 1e-6);
    found.push({
      chosen,
      units,
      unseen: { published: mean(on.unseen.published), chosen: mean(on.unseen.chosen) },
    });
  }
  await decoder.dispose();
  return found;
}

function noneLoses(found: readonly Found[]) {
  for (const { chosen, units, unseen } of found) {
    const told = `${units} by ${chosen}: ${unseen.published} to ${unseen.chosen}`;
    if (chosen === "l1") assert.equal(unseen.chosen, unseen.published, told);
    else assert.ok(unseen.chosen < unseen.published, told);
  }
}

Deno.test({
  name: "ranking: on random tiny models, text that decided nothing never loses by what auto takes",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const backend = await openTinyEngine("cpu");
    const found: Found[] = [];
    for (let seed = 1; seed <= 30; seed++) {
      const random = new Random(seed);
      const model = await openModel(
        await tinyModel(random, { normSpread: 6, families: LIKE_LLAMA }),
      );
      // Some blocks have gone before, as when a stage of the search begins.
      const shape = denseShape(model.architecture.blocks).map((size) =>
        random.chance(0.15) ? null : size
      );
      const percent = random.int(5, 35);
      found.push(...await ranked(backend, model, shape, percent, { length: 10, random }));
      model[Symbol.dispose]();
    }
    await backend[Symbol.asyncDispose]();
    noneLoses(found);
    const kinds = new Set(found.map(({ chosen, units }) => `${chosen} ${units}`));
    assert.ok(kinds.size >= 4, [...kinds].join(", "));
  },
});

Deno.test({
  name: "ranking: on the embedded model, text that decided nothing gains by what auto takes",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { backend } = await openBackend("cpu", { threads: 1 });
    const model = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
    const text = { length: 24, random: new Random(25) };
    const found = await ranked(backend, model, denseShape(model.architecture.blocks), 25, text);
    noneLoses(found);
    assert.ok(found.some(({ chosen }) => chosen !== "l1"));
    model[Symbol.dispose]();
    await backend[Symbol.asyncDispose]();
  },
});
