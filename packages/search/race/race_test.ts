import assert from "node:assert/strict";
import { layersOfShape } from "@lopper/models/testing";
import type { LayerSizes } from "@lopper/models";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { blockCandidates } from "../candidates.ts";
import { NO_COST } from "../cost.ts";
import { indexOfLowest } from "../picker.ts";
import { Race, type RaceOptions } from "./race.ts";
import { type SequenceNll, StepScores } from "../scores.ts";
import { denseState, stateAfter } from "../state.ts";
import { byLayers, FakeScorer } from "../testing/fake_scorer.ts";
import { tinyArchitecture } from "../testing/tiny_architecture.ts";
import type { Evidence } from "../journal_lines.ts";

const SEQUENCES = 32;
const LAYERS = 24;
const ARCHITECTURE = tinyArchitecture(LAYERS);
const ALL_ON: RaceOptions = { racing: true, lazy: true, proxies: true, threshold: true };

/** A scorer of blocks of known loss increase. */
interface Synthetic {
  readonly scorer: FakeScorer;
  /** Of each block, in nats. */
  readonly lossIncrease: readonly number[];
  readonly nll: (layers: readonly LayerSizes[], sequence: number) => number;
}

/**
 * Sequences differ much in difficulty, candidates a little in loss increase, and each pair has
 * noise of its own; they add up. The proxy knows the loss increase up to noise, unless the scorer
 * is to be blind.
 */
function synthetic(seed: number, blind = false): Synthetic {
  const random = xoroshiro128plus(seed);
  const normal = () =>
    Math.sqrt(-2 * Math.log(1 - uniformFloat64(random))) *
    Math.cos(2 * Math.PI * uniformFloat64(random));
  const many = <T>(n: number, of: () => T) => Array.from({ length: n }, of);
  const lossIncrease = many(2 * LAYERS, () => 0.02 + 0.2 * uniformFloat64(random));
  const difficulty = many(SEQUENCES, () => 4 + normal());
  const noise = many(2 * LAYERS, () => normal()).map(() => many(SEQUENCES, () => 0.05 * normal()));
  const proxyNoise = many(2 * LAYERS, () => Math.exp(0.3 * normal()));
  const nll = (layers: readonly LayerSizes[], sequence: number) =>
    removed(layers).reduce(
      (sum, block) => sum + lossIncrease[block] + noise[block][sequence],
      difficulty[sequence],
    );
  const scorer = new FakeScorer(byLayers(ARCHITECTURE, nll), {
    batches: Array.from({ length: 8 }, (_, b) => [0, 1, 2, 3].map((i) => 4 * b + i)),
    keptBatches: 8,
    perturbation: blind ? undefined : ({ first }) => lossIncrease[first] * proxyNoise[first],
  });
  return { scorer, lossIncrease, nll };
}

function removed(layers: readonly LayerSizes[]): number[] {
  return layers.flatMap(({ attention, mlp }, i) => [
    ...attention ? [] : [2 * i],
    ...mlp ? [] : [2 * i + 1],
  ]);
}

interface Race10 {
  /** By how much, in nats, the taken candidate was worse than the best, by step. */
  readonly regrets: readonly number[];
  /** Sequences scored by step, over those of one candidate on everything. */
  readonly evaluations: readonly number[];
  readonly evidence: readonly Evidence[];
}

/** Ten steps of removing blocks. */
async function tenSteps({ scorer, nll }: Synthetic, options: RaceOptions): Promise<Race10> {
  const race = new Race(options);
  const regrets: number[] = [], evaluations: number[] = [], evidence: Evidence[] = [];
  let state = denseState(ARCHITECTURE.blocks);
  let baseNll: SequenceNll | null = null;
  for (let step = 0; step < 10; step++) {
    const candidates = blockCandidates(state);
    const scores: StepScores = new StepScores({
      step,
      base: state.shape,
      candidates,
      scorer,
      baseNll,
      recorded: [],
      measure: () => NO_COST,
    });
    const picking = race.pick(scores, step === 0);
    let update = await picking.next();
    for (; !update.done; update = await picking.next()) {
      if (update.value.type !== "tokens") evidence.push(update.value);
    }
    const mean = (l: readonly LayerSizes[]) =>
      Array.from({ length: SEQUENCES }, (_, s) => nll(l, s))
        .reduce((a, b) => a + b, 0) / SEQUENCES;
    const truth = candidates.map((c) => mean(layersOfShape(ARCHITECTURE, c.shape)));
    const taken = update.value;
    assert.equal(scorer.unasked, 0, "what was expected was asked for");
    assert.equal(scores.count(taken), SEQUENCES, "the taken one is scored on everything");
    assert.equal(scorer.favoured, candidates[taken].shape, "and its block inputs are kept");
    regrets.push(truth[taken] - truth[indexOfLowest(truth)]);
    evaluations.push(candidates.reduce((n, _, i) => n + scores.count(i), 0) / SEQUENCES);
    state = stateAfter(state, candidates[taken]);
    baseNll = scores.nll(taken);
  }
  return { regrets, evaluations, evidence };
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

Deno.test("race: it takes what is nearly the best at a tenth of the cost, over many models", async () => {
  let regret = 0, spread = 0, evaluations = 0, exhaustive = 0;
  for (let seed = 0; seed < 40; seed++) {
    const model = synthetic(seed);
    const result = await tenSteps(model, ALL_ON);
    regret += sum(result.regrets);
    evaluations += sum(result.evaluations);
    for (let step = 0; step < 10; step++) exhaustive += 2 * LAYERS - step;
    // What taking one at random would lose.
    const sorted = model.lossIncrease.toSorted((a, b) => a - b);
    spread += sum(sorted.slice(0, 10).map((best) => sum(sorted) / sorted.length - best));
  }
  assert.ok(evaluations < exhaustive / 10, `${evaluations} of ${exhaustive} evaluations`);
  assert.ok(regret < 0.05 * spread, `lost ${regret} nats of ${spread}`);
});

Deno.test("race: each technique that is switched off costs evaluations, and none is used in silence", async () => {
  const cost = async (options: Partial<RaceOptions>) => {
    let evaluations = 0, perturbations = 0, baseScores = 0;
    for (let seed = 0; seed < 10; seed++) {
      const model = synthetic(seed);
      const result = await tenSteps(model, { ...ALL_ON, ...options });
      evaluations += sum(result.evaluations);
      perturbations += model.scorer.perturbations;
      baseScores += result.evidence.filter((e) => e.type === "score" && e.of === "base").length;
    }
    return { evaluations, perturbations, baseScores };
  };
  const all = await cost({});
  assert.ok(all.perturbations > 0 && all.baseScores > 0);
  const noRacing = await cost({ racing: false });
  assert.ok(noRacing.evaluations > 1.5 * all.evaluations);
  const noLazy = await cost({ lazy: false });
  assert.ok(noLazy.evaluations > all.evaluations);
  assert.equal(noLazy.baseScores, 0, "only lazy steps need to know the base plan's own loss");
  const noProxies = await cost({ proxies: false });
  assert.ok(noProxies.evaluations > all.evaluations);
  assert.equal(noProxies.perturbations, 0);
  const none = await cost({ racing: false, lazy: false, proxies: false, threshold: false });
  assert.equal(none.evaluations, 10 * sum(Array.from({ length: 10 }, (_, s) => 2 * LAYERS - s)));
});

Deno.test("race: with everything off it decides as the exhaustive search does", async () => {
  for (let seed = 0; seed < 5; seed++) {
    const off = { racing: false, lazy: false, proxies: false, threshold: false };
    const { regrets } = await tenSteps(synthetic(seed), off);
    assert.deepEqual(regrets, new Array(10).fill(0));
  }
});

Deno.test("race: without perturbations to go by, a scorer is raced as with the proxies off", async () => {
  for (let seed = 0; seed < 3; seed++) {
    const found = await tenSteps(synthetic(seed, true), ALL_ON);
    const expected = await tenSteps(synthetic(seed), { ...ALL_ON, proxies: false });
    assert.deepEqual(found.evidence, expected.evidence);
  }
});
