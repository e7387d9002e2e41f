import { afterChanges, allKept, type Block, parametersOfBlock, type Shape } from "@lopper/core";
import assert from "node:assert/strict";
import { checkHistory } from "../check_history.ts";
import { checkWay } from "../check_way.ts";
import { competition } from "../competition.ts";
import { describeChanges } from "../describe_changes.ts";
import { exhaustive } from "../exhaustive.ts";
import { parseJournal } from "../journal.ts";
import { multiPruner } from "../multi_pruner.ts";
import type { SearchPolicy } from "../policy.ts";
import { Race } from "../race/race.ts";
import { largestReachableRatio } from "../reach.ts";
import type { SearchModel } from "../search_model.ts";
import { keptSwaps } from "../swap/swap_line.ts";
import { FakeScorer } from "../testing/fake_scorer.ts";
import { runSearch } from "../testing/run_search.ts";
import { uniformCompetition } from "../uniform.ts";
import { changesOf, wayOf } from "../way.ts";
import type { SearchDimension } from "./dimension.ts";
import { dimensionsOfBlocks } from "./list.ts";

/** All that adding a dimension takes: what the search has to know of it, and a line in the list. */
const WIDGETS: SearchDimension = {
  name: "widgets",
  label: "widgets",
  unit: "widget",
  units: "widgets",
  group: { name: "widget group", channel: "inner channel" },
};
const dimensions = [...dimensionsOfBlocks([]), WIDGETS];

/**
 * A model of blocks that nobody has thought of: each widget has two inner channels, and some blocks
 * have bolts, too.
 */
const BLOCKS: readonly Block[] = Array.from({ length: 6 }, (_, layer) => ({
  id: `${layer}.toy`,
  layer,
  kind: "toy",
  placement: "pre",
  dimensions: [
    { name: "widgets", units: 8 },
    ...(layer % 2 === 0 ? [] : [{ name: "bolts", units: 3 }]),
  ],
  weights: [
    { name: "in", axes: [{ dimension: "widgets", width: 2 }, 4] },
    { name: "out", axes: [4, { dimension: "widgets", width: 2 }] },
    ...(layer % 2 === 0 ? [] : [{ name: "bolt", axes: [{ dimension: "bolts", width: 1 }] }]),
  ],
}));
const parameters = (shape: Shape) =>
  shape.reduce((sum, size, at) => sum + (size ? block(at, size) : 0), 10);
const block: SearchModel["parameters"]["block"] = (at, size) =>
  parametersOfBlock(BLOCKS[at], size, { norms: false });
const MODEL: SearchModel = {
  blocks: BLOCKS,
  layers: BLOCKS.length,
  parameters: { name: "parameters", amount: parameters, block },
  stored: parameters,
};

/**
 * The first toy is the least of all, but the second and the third are the least pair: a greedy
 * search cannot find it.
 */
function loss(shape: Shape, sequence: number): number {
  const gone = shape.map((size) => 1 - (size?.widgets ?? 0) / 8);
  const prices = [1, 1.1, 1.2, 8, 9, 10];
  const alone = gone.reduce((sum, share, at) => sum + share * prices[at], 0);
  const together = 2 * gone[0] * gone[1] + 3 * gone[0] * gone[2] - gone[1] * gone[2];
  return 1 + alone + together + sequence / 100;
}

const GROUPS = { widgets: 4, channels: 1, kvGroups: 1 };
const OPTIONS = { ratio: 30, groups: GROUPS, dimensions };
const POLICIES: readonly SearchPolicy[] = [
  competition(MODEL, OPTIONS),
  multiPruner(MODEL, { ...OPTIONS, distribution: [1, 0, 0, 1] }),
  multiPruner(MODEL, { ...OPTIONS, distribution: [1, 0, 0, 0] }),
  multiPruner(MODEL, { ...OPTIONS, distribution: [0, 0, 0, 1] }),
];
const fast = () => new Race({ racing: true, lazy: true, proxies: true, threshold: true });

function search(policy: SearchPolicy, isFast: boolean, lines: readonly string[] = []) {
  const scorer = new FakeScorer(loss, {
    perturbation: ({ shape }, base) => Math.abs(loss(shape, 0) - loss(base, 0)),
  });
  // The last widget is the most important.
  const ranking = allKept(BLOCKS).map((units) =>
    Object.fromEntries(Object.entries(units!).map(([name, those]) => [name, those.toReversed()]))
  );
  const options = {
    picker: isFast ? fast() : exhaustive,
    units: { ranking },
    swap: { validation: null },
  };
  return runSearch(MODEL, policy, scorer, options, lines);
}

Deno.test("dimension: a new one goes through policy, search, swap, journal, resume and plan", async () => {
  let narrowed = 0, swapped = 0;
  for (const policy of POLICIES) {
    assert.ok(largestReachableRatio(MODEL, policy) > 30);
    for (const isFast of [false, true]) {
      const { result, lines } = await search(policy, isFast);
      assert.ok(result.ratio >= 30, `${result.ratio} %`);
      const way = wayOf(MODEL, result);
      checkWay(MODEL, way);
      checkHistory(MODEL, parseJournal(lines, "j"), "j");
      const kept = afterChanges(BLOCKS, allKept(BLOCKS), changesOf(way));
      assert.deepEqual(kept, result.state.kept, "a plan is the fold of its changes");
      for (const units of kept) {
        const those = units?.widgets ?? [];
        assert.deepEqual(those, [0, 1, 2, 3, 4, 5, 6, 7].slice(8 - those.length));
      }
      narrowed += kept.filter((units) => units && units.widgets.length < 8).length;
      swapped += keptSwaps(result.swaps).length;
      for (let cut = 0; cut <= lines.length; cut += 4) {
        const resumed = await search(policy, isFast, lines.slice(0, cut));
        assert.deepEqual(resumed.lines, lines, `cut off after ${cut} lines`);
        assert.deepEqual(resumed.result.changes, result.changes);
      }
    }
  }
  assert.ok(narrowed > 0 && swapped > 0, `${narrowed} were narrowed and ${swapped} swapped`);
});

Deno.test("dimension: a stage has its name, and words and numbers of it are checked like all others", () => {
  const { stages } = multiPruner(MODEL, { ...OPTIONS, distribution: [1, 0, 0, 1] });
  assert.deepEqual(stages.map(({ name }) => name), ["blocks", "channels", "kvGroups", "widgets"]);
  assert.deepEqual(stages.at(-1)!.narrows, ["widgets"]);
  const odd = { ...OPTIONS, groups: { ...GROUPS, widgets: 3 } };
  assert.throws(
    () => competition(MODEL, odd),
    /widget group is 3 .*multiple of 2, .*whole widgets/,
  );
  const changes = [{ part: "3.toy", dimension: "widgets", removed: [1, 2] }];
  assert.match(describeChanges(changes), /^2 widgets of the toy of layer 3$/);
});

Deno.test("dimension: one that is alike in all layers goes everywhere at once", async () => {
  const alike = BLOCKS.map((toy) => ({ ...toy, ...without(toy, "bolts") }));
  const amount = (shape: Shape) =>
    shape.reduce(
      (sum, size, at) => sum + (size ? parametersOfBlock(alike[at], size, NONE) : 0),
      10,
    );
  const model: SearchModel = {
    blocks: alike,
    layers: alike.length,
    parameters: {
      name: "parameters",
      amount,
      block: (at, size) => parametersOfBlock(alike[at], size, NONE),
    },
    stored: amount,
  };
  const policy = uniformCompetition(model, OPTIONS);
  // Widgets are cheaper than layers.
  const price = (shape: Shape) =>
    shape.reduce((sum, size, at) => sum + (size ? 1 - size.widgets / 80 : 5 + at), 0);
  const { result } = await runSearch(model, policy, new FakeScorer(price), { picker: exhaustive });
  const everywhere = alike.map(({ id }) => `${id} widgets→6`).join(", ");
  assert.ok(result.steps[0].candidates.some(({ key }) => key === everywhere));
  assert.equal(result.steps[0].taken.key, everywhere);
  const left = result.state.shape.filter((size) => size !== null);
  assert.equal(new Set(left.map((size) => JSON.stringify(size))).size, 1);
});

const NONE = { norms: false };

/** A block that lacks a dimension. */
function without(
  { dimensions, weights }: Block,
  name: string,
): Pick<Block, "dimensions" | "weights"> {
  return {
    dimensions: dimensions.filter((dimension) => dimension.name !== name),
    weights: weights.filter((weight) => weight.name !== "bolt"),
  };
}
