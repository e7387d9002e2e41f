import { countParameters, pruningRatio } from "@lopper/core";
import { layersOfShape, shapeOfLayers } from "@lopper/models/testing";
import { type LayerSizes, layersOfBlocks } from "@lopper/models";
import assert from "node:assert/strict";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { searchModelOf } from "./search_model.ts";
import { denseState } from "./state.ts";
import { competition } from "./competition.ts";
import { exhaustive } from "./exhaustive.ts";
import type { Picker } from "./picker.ts";
import { Race } from "./race/race.ts";
import { largestReachableRatio } from "./reach.ts";
import type { SearchResult } from "./search.ts";
import { byLayers, FakeScorer } from "./testing/fake_scorer.ts";
import { runSearch } from "./testing/run_search.ts";
import { tinyArchitecture } from "./testing/tiny_architecture.ts";

const ARCHITECTURE = tinyArchitecture(6);
const MODEL = searchModelOf(ARCHITECTURE);
const OPTIONS = { ratio: 30, groups: { channels: 2, kvGroups: 8 } };

const parametersOf = (layers: readonly LayerSizes[]) =>
  countParameters(ARCHITECTURE, shapeOfLayers(ARCHITECTURE, layers), { norms: "kept" }).total;

const COUPLING = 5;
/** The mean of a priced scorer's sequences while nothing is gone. */
const DENSE_NLL = 5.5;

/**
 * Every parameter of a block raises the loss as much, and every sequence is as hard as its number
 * says.
 * @param prices nats for each parameter that goes from the attention and from the MLP of a layer.
 * @param coupling nats for each product of the loss increases of two layers that lie next to each
 *   other.
 */
function priced(
  prices: readonly (readonly [attention: number, mlp: number])[],
  coupling = 0,
): FakeScorer {
  const nll = (layers: readonly LayerSizes[], sequence: number): number => {
    const lossIncreases = layers.map(({ attention, mlp }, i) => {
      const dense = layersOfBlocks(ARCHITECTURE)[i];
      const heads = dense.attention!.queryHeads - (attention?.queryHeads ?? 0);
      const channels = dense.mlp!.intermediateSize - (mlp?.intermediateSize ?? 0);
      const [ofAttention, ofMlp] = prices[i];
      // 4 query heads of 4 channels and half as many keys and values: 48 rows of 8; 3 rows a
      // channel.
      return ofAttention * heads * 96 + ofMlp * channels * 24;
    });
    return lossIncreases.reduce(
      (sum, lossIncrease, i) =>
        sum + lossIncrease + coupling * lossIncrease * (lossIncreases[i - 1] ?? 0),
      2 + sequence,
    );
  };
  return new FakeScorer(byLayers(ARCHITECTURE, nll), {
    batches: [[0, 1], [2, 3], [4, 5], [6, 7]],
    keptBatches: 4,
    perturbation: ({ shape }, base) =>
      nll(layersOfShape(ARCHITECTURE, shape), 0) - nll(layersOfShape(ARCHITECTURE, base), 0),
  });
}

const search = (scorer: FakeScorer, picker: Picker, lines: readonly string[] = []) =>
  runSearch(MODEL, competition(MODEL, OPTIONS), scorer, { picker }, lines);

// The MLP of layer 4 is the cheapest for what it holds, then the attention of layer 1, then the MLP
// of layer 0.
const PRICES = [[5, 0.3], [0.2, 6], [8, 4], [7, 5], [9, 0.1], [4, 7]].map((
  [attention, mlp],
) => [attention / 1e4, mlp / 1e4] as const);
const pickers = (): [string, Picker][] => [
  ["exhaustive", exhaustive],
  ["fast", new Race({ racing: true, lazy: true, proxies: true, threshold: true })],
  ["racing alone", new Race({ racing: true, lazy: false, proxies: false, threshold: false })],
];

Deno.test("competition: what costs least for its parameters goes, however small or large it is", async () => {
  for (const [name, picker] of pickers()) {
    const { result } = await search(priced(PRICES), picker);
    const touched = result.steps.map(({ taken: { changes: [{ part }] } }) => part);
    // By perplexity alone the channels of layer 0 would go first: a group of them is a quarter of
    // one of heads.
    assert.deepEqual([...new Set(touched)].slice(0, 2), ["4.mlp", "1.attention"], name);
    assert.ok(result.ratio >= OPTIONS.ratio);
    const layers = layersOfShape(ARCHITECTURE, result.state.shape);
    assert.equal(result.ratio, pruningRatio(ARCHITECTURE, result.state.shape));
    assert.equal(
      layers[4].mlp,
      null,
      `${name}: a block that is cheap to the end goes whole`,
    );
    assert.ok(result.steps.every(({ stage }) => stage === "all"));
  }
});

Deno.test("competition: a run that was cut off anywhere decides the same from its journal", async () => {
  for (const make of [() => exhaustive, () => pickers()[1][1]]) {
    const whole = await search(priced(PRICES), make());
    for (let cut = 0; cut < whole.lines.length; cut += 5) {
      const scorer = priced(PRICES);
      const resumed = await search(scorer, make(), whole.lines.slice(0, cut));
      assert.deepEqual(resumed.result, whole.result);
    }
    const again = priced(PRICES);
    await search(again, make(), whole.lines);
    assert.equal(again.scored, 0, "a finished search scores nothing again");
  }
});

Deno.test("competition: weights are nats for a per cent of the dense parameters", () => {
  const [stage] = competition(MODEL, OPTIONS).stages;
  const dense = denseState(MODEL.blocks);
  for (const candidate of stage.candidates(dense, stage.bound)) {
    const gone = parametersOf(layersOfBlocks(ARCHITECTURE)) -
      parametersOf(layersOfShape(ARCHITECTURE, candidate.shape));
    const weight = stage.weight!(candidate, dense);
    assert.ok(Math.abs(weight * gone / parametersOf(layersOfBlocks(ARCHITECTURE)) - 0.01) < 1e-15);
  }
});

Deno.test("competition: all blocks may go, so what they hold can be reached", () => {
  const reachable = largestReachableRatio(MODEL, competition(MODEL, OPTIONS));
  const none = ARCHITECTURE.blocks.map(() => null);
  assert.equal(reachable, pruningRatio(ARCHITECTURE, none));
});

Deno.test("competition: what is cheap goes without a race, and nothing that is not", async () => {
  const on = { racing: true, lazy: true, proxies: true, threshold: true };
  let scored = 0, scoredByRaces = 0, lost = 0, lostByRaces = 0, withoutRace = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const random = xoroshiro128plus(seed);
    const price = () => 1e-4 * Math.exp(2 * uniformFloat64(random));
    const prices = layersOfBlocks(ARCHITECTURE).map(() => [price(), price()] as const);
    // What a block costs depends on what went beside it, so that accounts get out of date.
    const scorer = priced(prices, COUPLING), races = priced(prices, COUPLING);
    const { result } = await search(scorer, new Race(on));
    const raced = await search(races, new Race({ ...on, threshold: false }));
    // A head group is a quarter of the block of attention, and more than a group of channels.
    const group = 100 * 96 * 2 / parametersOf(layersOfBlocks(ARCHITECTURE));
    for (const { ratio } of [result, raced.result]) {
      assert.ok(ratio >= OPTIONS.ratio && ratio < OPTIONS.ratio + group + 1e-9, `${ratio} %`);
    }
    scored += scorer.scored;
    scoredByRaces += races.scored;
    const end = ({ steps }: SearchResult) => Math.log(steps.at(-1)!.ppl) - DENSE_NLL;
    lost += end(result);
    lostByRaces += end(raced.result);

    let nll = DENSE_NLL, before = 0, limit = -Infinity;
    for (const { ppl, candidates, ratio } of result.steps) {
      const saved = ratio - before;
      const cost = (Math.log(ppl) - nll) / saved;
      if (candidates.filter(({ sequences }) => sequences > 0).length > 1) {
        limit = Math.max(1.2 * cost, cost + 1e-3);
      } else {
        withoutRace += 1;
        assert.ok(cost <= limit + 1e-9, `seed ${seed}: ${cost} nats a per cent, above ${limit}`);
      }
      [nll, before] = [Math.log(ppl), ratio];
    }
  }
  assert.ok(withoutRace > 50, `${withoutRace} steps without a race`);
  assert.ok(lost <= 1.1 * lostByRaces, `${lost} nats, and ${lostByRaces} by races`);
  assert.ok(scored < 0.8 * scoredByRaces, `${scored} of ${scoredByRaces}`);
});
