import { planOf, prunedArchitecture, type Ranking, ResumeError, sourceRanking } from "@lopper/core";
import { layersOfShape } from "@lopper/models/testing";
import { type LayerSizes, layersOfBlocks } from "@lopper/models";
import assert from "node:assert/strict";
import { exhaustive } from "./exhaustive.ts";
import { kindOfChanges } from "./part.ts";
import { searchModelOf } from "./search_model.ts";
import { changesOf, wayOf } from "./way.ts";
import { multiPruner } from "./multi_pruner.ts";
import { byLayers, FakeScorer } from "./testing/fake_scorer.ts";
import { runSearch } from "./testing/run_search.ts";
import { tinyArchitecture } from "./testing/tiny_architecture.ts";

const ARCHITECTURE = tinyArchitecture(4);
const MODEL = searchModelOf(ARCHITECTURE);

/** What is gone: blocks count by their layer, widths by what they lost. */
function gone(layers: readonly LayerSizes[]): number {
  return layers.reduce(
    (sum, { attention, mlp }, l) =>
      sum + (attention ? 4 - attention.queryHeads : 4 + l) +
      (mlp ? (32 - mlp.intermediateSize) / 8 : 4.5 + l),
    0,
  );
}

/** Perplexity grows by `rate` for everything that is gone; sequences differ a little. */
function growing(rate: number, base = 2): FakeScorer {
  const loss = byLayers(
    ARCHITECTURE,
    (layers, sequence) => base + rate * gone(layers) + 0.01 * sequence,
  );
  return new FakeScorer(loss, { batches: [[0, 1], [2]] });
}

async function search(
  options: {
    heldOut?: FakeScorer;
    maxIncrease?: number;
    lines?: readonly string[];
    ranking?: Ranking;
  } = {},
) {
  const scorer = growing(0.004);
  const policy = multiPruner(MODEL, {
    ratio: 35,
    // so that each of the three stages takes steps
    distribution: [50, 30, 20],
    groups: { channels: 8, kvGroups: 8 },
  });
  const { lines, ranking, ...watch } = options;
  const run = await runSearch(MODEL, policy, scorer, {
    picker: exhaustive,
    watch,
    units: { ranking },
  }, lines);
  return { ...run, heldOut: watch.heldOut, scorer };
}

Deno.test("gauge: held-out text is measured before the first step and after each, and decides nothing", async () => {
  const plain = await search();
  const heldOut = growing(0.01, 3);
  const watched = await search({ heldOut });
  assert.deepEqual(watched.result.state.kept, plain.result.state.kept);
  const { steps, measures } = watched.result;
  assert.ok(steps.length > 3);
  assert.deepEqual(measures.map(({ steps }) => steps), [...steps.keys(), steps.length]);
  assert.ok(measures.every(({ on }) => on === "held_out"));
  assert.deepEqual(plain.result.measures, []);
  assert.equal(plain.scorer.evaluations, 0);

  const { frontier } = wayOf(MODEL, watched.result);
  for (const [i, { heldOut, perplexity, ratio }] of frontier.entries()) {
    const part = changesOf({ frontier: frontier.slice(0, i + 1), swaps: [] });
    const layers = layersOfBlocks(
      prunedArchitecture(ARCHITECTURE, planOf(ARCHITECTURE, "m", part)),
    );
    assert.ok(Math.abs(Math.log(heldOut!) - (3.01 + 0.01 * gone(layers))) < 1e-9);
    assert.deepEqual([perplexity, ratio], [steps[i].ppl, steps[i].ratio]);
  }
});

Deno.test("gauge: a run that was cut off anywhere measures nothing twice, and ends the same", async () => {
  const straight = await search({ heldOut: growing(0.01, 3), maxIncrease: 0.2 });
  for (let n = 0; n <= straight.lines.length; n++) {
    const lines = straight.lines.slice(0, n);
    const resumed = await search({ heldOut: growing(0.01, 3), maxIncrease: 0.2, lines });
    assert.deepEqual(resumed.lines, straight.lines, `cut off after ${n} lines`);
    assert.deepEqual(resumed.result, straight.result);
    const known = lines.filter((line) => line.includes('"measure"')).length;
    const all = straight.lines.filter((line) => line.includes('"measure"')).length;
    assert.equal(resumed.heldOut!.evaluations, all - known);
  }
});

Deno.test("gauge: the search ends before the step that goes too far, and not one step sooner", async () => {
  for (const heldOut of [undefined, growing(0.01, 3)]) {
    const rate = heldOut ? 0.01 : 0.004;
    const rise = (layers: readonly LayerSizes[]) => Math.exp(rate * gone(layers)) - 1;
    for (const maxIncrease of [0.05, 0.1, 0.15]) {
      const { result, scorer } = await search({ heldOut, maxIncrease });
      const { beyond, state, steps } = result;
      const layers = layersOfShape(ARCHITECTURE, state.shape);
      assert.ok(rise(layers) <= maxIncrease);
      if (!beyond) continue;
      assert.ok(beyond.increase > maxIncrease);
      assert.equal(beyond.step.step, steps.length);
      assert.ok(beyond.step.ratio > (steps.at(-1)?.ratio ?? 0));
      // the dense model is measured once for each kind of samples at most
      assert.ok(scorer.evaluations <= (heldOut ? 0 : 2));
    }
  }
  const { result } = await search({ maxIncrease: 0.05 });
  assert.ok(result.beyond);
  const none = await search({ maxIncrease: 0.001 });
  assert.deepEqual([none.result.steps.length, none.result.ratio], [0, 0]);
});

Deno.test("gauge: a perplexity that is no number is beyond every limit", async () => {
  const overflowing = growing(Infinity);
  overflowing.evaluate = (shape) =>
    Promise.resolve({
      perplexity: NaN,
      sequenceNll: [gone(layersOfShape(ARCHITECTURE, shape)) > 0 ? NaN : 2],
    });
  const { result } = await search({ heldOut: overflowing, maxIncrease: 1000 });
  assert.equal(result.steps.length, 0);
  assert.ok(Number.isNaN(result.beyond!.increase));
});

Deno.test("gauge: a journal that goes on behind the limit belongs to another search", async () => {
  const { lines } = await search();
  await assert.rejects(search({ maxIncrease: 0.02, lines }), ResumeError);
});

Deno.test("frontier: its first steps make the plan of a run that stopped there, in any ranking", async () => {
  // The last unit is the most important.
  const ranking = sourceRanking(MODEL.blocks).map((ranked) =>
    Object.fromEntries(
      Object.entries(ranked!).map(([name, units]) => [name, units.toReversed()]),
    )
  );
  const { result } = await search({ ranking });
  const { frontier } = wayOf(MODEL, result);
  const kinds = new Set(frontier.map(({ changes }) => kindOfChanges(changes)));
  assert.ok(kinds.has("channels") && kinds.has("kvGroups") && kinds.has("mlp"));
  assert.equal(frontier.at(-1)!.ratio, result.ratio);
  for (const [at, kept] of result.state.kept.entries()) {
    for (const [dimension, units] of Object.entries(kept ?? {})) {
      const most = ranking[at][dimension].slice(0, units.length);
      assert.deepEqual(units, most.toReversed());
    }
  }
  const planAfter = (n: number) =>
    planOf(ARCHITECTURE, "m", changesOf({ frontier: frontier.slice(0, n), swaps: [] }));
  assert.deepEqual(planAfter(frontier.length), planOf(ARCHITECTURE, "m", result.changes));
  let parameters = Infinity;
  for (let n = 1; n <= frontier.length; n++) {
    layersOfBlocks(prunedArchitecture(ARCHITECTURE, planAfter(n)));
    assert.ok(frontier[n - 1].parameters < parameters);
    parameters = frontier[n - 1].parameters;
  }
  assert.deepEqual(planAfter(0).removalOrder, []);
});
