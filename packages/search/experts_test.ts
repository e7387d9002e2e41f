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
