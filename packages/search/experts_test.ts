import { type Block, denseShape, parametersOfBlock, type Shape } from "@lopper/core";
import assert from "node:assert/strict";
import { competition } from "./competition.ts";
import { exhaustive } from "./exhaustive.ts";
import { multiPruner } from "./multi_pruner.ts";
import { largestReachableRatio } from "./reach.ts";
import type { SearchModel } from "./search_model.ts";
import { denseState } from "./state.ts";
import { FakeScorer } from "./testing/fake_scorer.ts";
import { runSearch } from "./testing/run_search.ts";
import { uniformCompetition } from "./uniform.ts";

const experts = { dimension: "experts", width: 1 };
const EXPERTS = 8, TOP_K = 3;

/** Three layers with a mixture each, and nothing else. */
const BLOCKS: readonly Block[] = Array.from({ length: 3 }, (_, layer) => ({
  id: `${layer}.experts`,
  layer,
  kind: "experts",
  dimensions: [{ name: "experts", units: EXPERTS }],
  routing: { topK: TOP_K, softmaxOver: "all" },
  weights: [
    { name: "router", axes: [experts, 4] },
    { name: "up", axes: [experts, 2, 4], stacked: true },
    { name: "down", axes: [experts, 4, 2], stacked: true },
  ],
}));
const block: SearchModel["parameters"]["block"] = (at, size) =>
  parametersOfBlock(BLOCKS[at], size, { norms: false });
const amount = (shape: Shape) =>
  shape.reduce((sum, size, at) => sum + (size ? block(at, size) : 0), 10);
const MODEL: SearchModel = {
  blocks: BLOCKS,
  layers: 3,
  parameters: { name: "parameters", amount, block },
  stored: amount,
};
const GROUPS = { channels: 1, kvGroups: 1, experts: 2 };
const OPTIONS = { ratio: 30, groups: GROUPS };

/** Whole mixtures are dear, and the first layer's experts are cheapest. */
function loss(shape: Shape): number {
  return shape.reduce(
    (sum, size, at) => sum + (size ? (EXPERTS - size.experts) * (1 + at) : 100),
    1,
  );
}

const keys = (candidates: readonly { key: string }[]) => candidates.map(({ key }) => key);

Deno.test("experts: all layers lose as many at a time, unless each is asked for", () => {
  const dense = denseState(BLOCKS);
  const [alike] = competition(MODEL, OPTIONS).stages;
  const whole = ["0.experts", "1.experts", "2.experts"];
  const everywhere = whole.map((part) => `${part} experts→6`).join(", ");
  assert.deepEqual(keys(alike.candidates(dense, 30)).at(-1), everywhere);
  assert.equal(alike.candidates(dense, 100).length, 4, "three blocks, and experts of all layers");
  const [own] = competition(MODEL, { ...OPTIONS, byLayer: true }).stages;
  assert.deepEqual(
    keys(own.candidates(dense, 30)).slice(-3),
    whole.map((part) => `${part} experts→6`),
  );
});

Deno.test("experts: as many stay as a token goes to", async () => {
  const [one, ...others] = denseShape(BLOCKS);
  const narrow = { ...denseState(BLOCKS), shape: [{ ...one!, experts: 4 }, ...others] };
  const policy = competition(MODEL, { ...OPTIONS, byLayer: true });
  const found = keys(policy.stages[0].candidates(narrow, 100));
  assert.ok(!found.some((key) => key.includes("0.experts experts")), found.join("; "));
  const alone = multiPruner(MODEL, { ...OPTIONS, distribution: [0, 1, 0], ratio: 99 });
  // Two at a time, from eight to four.
  const most = 100 * (1 - amount(BLOCKS.map(() => ({ experts: 4 }))) / amount(denseShape(BLOCKS)));
  assert.equal(largestReachableRatio(MODEL, alone), most);
  const reachable = { ...OPTIONS, distribution: [0, 1, 0], ratio: most - 1 };
  const { result } = await runSearch(
    MODEL,
    multiPruner(MODEL, reachable),
    new FakeScorer(loss),
    { picker: exhaustive },
  );
  assert.deepEqual(result.state.shape, BLOCKS.map(() => ({ experts: 4 })));
  assert.equal(result.steps[0].stage, "experts");
});

Deno.test("experts: shares of channels are theirs, and uniform policies know them", () => {
  const { stages } = multiPruner(MODEL, { ...OPTIONS, distribution: [44, 52, 4] });
  // Where no heads can go, they go on.
  const names = ["blocks", "experts", "kvGroups", "experts"];
  assert.deepEqual(stages.map(({ name }) => name), names);
  const uniform = uniformCompetition(MODEL, OPTIONS);
  const found = keys(uniform.stages[0].candidates(denseState(BLOCKS), 100));
  assert.ok(found.some((key) => key.includes("experts→6")), found.join("; "));
  const odd = { ...OPTIONS, groups: { ...GROUPS, experts: 0 } };
  assert.throws(() => competition(MODEL, odd), /expert group is 0; it needs at least 1 expert/);
});

/** The same mixtures, whose experts lie in two groups; a token goes to the better one. */
const GROUPED: readonly Block[] = BLOCKS.map((block) => ({
  ...block,
  dimensions: [{ name: "experts", units: EXPERTS, groups: 2 }],
  routing: { topK: TOP_K, softmaxOver: null, topGroups: 1 },
}));

Deno.test("experts: groups of a router lose as many, and each keeps as many as a token goes to", async () => {
  const model = { ...MODEL, blocks: GROUPED };
  const [alike] = competition(model, OPTIONS).stages;
  const [, , , all] = alike.candidates(denseState(GROUPED), 30);
  assert.deepEqual(all.changes.map(({ removed }) => removed), [[3, 7], [3, 7], [3, 7]]);
  const reachable = { ...OPTIONS, distribution: [0, 1, 0], ratio: 15 };
  const { result } = await runSearch(
    model,
    multiPruner(model, reachable),
    new FakeScorer(loss),
    { picker: exhaustive },
  );
  // Three of each group: a token goes to three of one.
  assert.deepEqual(result.state.shape, BLOCKS.map(() => ({ experts: 6 })));
  const further = multiPruner(model, { ...reachable, ratio: 99 });
  const most = 100 * (1 - amount(BLOCKS.map(() => ({ experts: 6 }))) / amount(denseShape(BLOCKS)));
  assert.equal(largestReachableRatio(model, further), most);
  const odd = { ...OPTIONS, groups: { ...GROUPS, experts: 3 } };
  assert.throws(
    () => competition(model, odd),
    /expert group is 3 experts; this model needs a multiple of 2, so that each group loses as many/,
  );
});

/** The same with four channels of each expert, behind a layer with an MLP. */
const CHANNELLED: readonly Block[] = [
  {
    ...{ id: "0.mlp", layer: 0, kind: "mlp", dimensions: [{ name: "channels", units: 4 }] },
    weights: [{ name: "down", axes: [4, { dimension: "channels", width: 1 }] }],
  },
  ...BLOCKS.slice(1).map((block): Block => ({
    ...block,
    dimensions: [
      { name: "experts", units: EXPERTS },
      { name: "channels", units: 4, owners: EXPERTS },
    ],
    weights: [{
      name: "up",
      axes: [experts, { dimension: "channels", width: 1 }, 4],
      stacked: true,
    }],
  })),
];
const amountOf = (shape: Shape) =>
  shape.reduce((sum, size, at) => sum + (size ? sized(at, size) : 0), 10);
const sized: SearchModel["parameters"]["block"] = (at, size) =>
  parametersOfBlock(CHANNELLED[at], size, { norms: false });
const OF_CHANNELS: SearchModel = {
  blocks: CHANNELLED,
  layers: 3,
  parameters: { name: "parameters", amount: amountOf, block: sized },
  stored: amountOf,
};

Deno.test("experts: channels of each go, of all mixtures at once, and those of MLPs by themselves", () => {
  const dense = denseState(CHANNELLED);
  const everywhere = "1.experts channels→3, 2.experts channels→3";
  const [all] = competition(OF_CHANNELS, OPTIONS).stages;
  const found = all.candidates(dense, 30);
  assert.deepEqual(keys(found).slice(-2), [everywhere, "0.mlp channels→3"]);
  // The last one of each, numbered expert by expert.
  assert.deepEqual(found.at(-2)!.changes[0].removed, [3, 7, 11, 15, 19, 23, 27, 31]);
  assert.deepEqual(all.narrows, ["experts", "kvGroups", "channels"]);
  const [own] = competition(OF_CHANNELS, { ...OPTIONS, byLayer: true }).stages;
  const each = ["0.mlp channels→3", "1.experts channels→3", "2.experts channels→3"];
  assert.deepEqual(keys(own.candidates(dense, 30)).slice(-3), each);
  // Shares of before say nothing of them, and a fourth one does.
  const names = (distribution: readonly number[]) =>
    multiPruner(OF_CHANNELS, { ...OPTIONS, distribution }).stages.map(({ name }) => name);
  assert.deepEqual(names([44, 52, 4]), ["blocks", "experts", "kvGroups", "experts"]);
  assert.deepEqual(names([1, 0, 0, 1]), ["blocks", "experts", "kvGroups", "channels"]);
  assert.throws(() => names([1, 1]), /it needs 4 shares/);
});

Deno.test("experts: what a search takes of their channels, and gives back, a journal has in full", async () => {
  // Whole blocks and experts are dear; the last layer's channels are, too.
  const dear = (shape: Shape) =>
    shape.reduce(
      (sum, size, at) =>
        sum + (size ? 10 * (EXPERTS - (size.experts ?? EXPERTS)) + (4 - size.channels) * at : 99),
      1,
    );
  const policy = competition(OF_CHANNELS, { ...OPTIONS, ratio: 45, byLayer: true });
  const options = { picker: exhaustive, swap: { validation: null } };
  const { result, lines } = await runSearch(OF_CHANNELS, policy, new FakeScorer(dear), options);
  assert.ok(result.ratio >= 45);
  for (const [at, units] of result.state.kept.entries()) {
    if (at === 0) continue;
    const counts = Map.groupBy(units!.channels, (unit) => Math.floor(unit / 4)).values();
    assert.deepEqual(
      [...counts].map((those) => those.length),
      Array.from({ length: EXPERTS }, () => result.state.shape[at]!.channels),
    );
  }
  assert.ok(result.state.shape.some((size, at) => at > 0 && size!.channels < 4));
  for (const cut of [1, Math.floor(lines.length / 2)]) {
    const again = await runSearch(
      OF_CHANNELS,
      policy,
      new FakeScorer(dear),
      options,
      lines.slice(0, cut),
    );
    assert.deepEqual(again.lines, lines);
  }
});
