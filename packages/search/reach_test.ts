import { type Architecture, pruningRatio } from "@lopper/core";
import { type LayerSizes, layersOfBlocks } from "@lopper/models";
import assert from "node:assert/strict";
import fc from "fast-check";
import { groupCandidates } from "./candidates.ts";
import { KV_GROUPS } from "./dimensions/kv_groups.ts";
import { competition } from "./competition.ts";
import { headGroupUnit } from "./group_sizes.ts";
import { multiPruner, PRESETS } from "./multi_pruner.ts";
import type { SearchPolicy } from "./policy.ts";
import type { Proposal } from "./proposal.ts";
import { expectedSteps, largestReachableRatio, rehearse } from "./reach.ts";
import { savedBy } from "./saved.ts";
import { searchModelOf } from "./search_model.ts";
import { denseState, type SearchState, stateAfter } from "./state.ts";
import { architectureOf } from "./testing/tiny_architecture.ts";

/** Failing cases are printed with their seed; LOPPER_SEED runs them again. */
const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 17);

function model(layers: readonly LayerSizes[]): Architecture {
  const traits = ["qkvBias", "mlpBias"] as const;
  return architectureOf(layers, { vocabSize: 10, tiedEmbeddings: false, traits });
}

const mixedLayers = fc.array(
  fc.record({
    attention: fc.option(
      fc.integer({ min: 1, max: 4 }).map((kvHeads) => ({ queryHeads: 2 * kvHeads, kvHeads })),
    ),
    mlp: fc.option(fc.integer({ min: 3, max: 60 }).map((n) => ({ intermediateSize: n }))),
  }),
  { minLength: 1, maxLength: 4 },
);
const distributions = fc.constantFrom<readonly [number, number, number]>(
  ...Object.values(PRESETS),
  [80, 0, 20],
  [10, 80, 10],
);

/**
 * The largest ratio over every set of blocks that the block stage can end with, later stages going
 * to their end.
 */
function exhaustive(architecture: Architecture, policy: SearchPolicy): number {
  const [blocks, ...later] = policy.stages;
  const widths = later.map((stage) => stage.bound > 0 ? { ...stage, bound: 100 } : stage);
  const model = searchModelOf(architecture);
  const seen = new Map<string, number>();
  const walk = (state: SearchState): number => {
    const key = JSON.stringify(state.shape);
    const known = seen.get(key);
    if (known !== undefined) return known;
    const next = savedBy(model.parameters, model.blocks, state.shape) < blocks.bound
      ? blocks.candidates(state, blocks.bound)
      : [];
    const ratio = next.length > 0
      ? Math.max(...next.map((candidate) => walk(stateAfter(state, candidate))))
      : rehearse({ ...policy, stages: widths }, state, (c) => c[c.length - 1]).ratio;
    seen.set(key, ratio);
    return ratio;
  };
  return walk(denseState(model.blocks));
}

Deno.test("reach: layers of mixed widths, blocks missing, reach what the best of all paths does", () => {
  fc.assert(
    fc.property(
      mixedLayers,
      distributions,
      fc.integer({ min: 2, max: 90 }),
      fc.constantFrom(3, 8, 16),
      (layers, distribution, ratio, mlpGroup) => {
        const architecture = model(layers);
        const searched = searchModelOf(architecture);
        const groups = { channels: mlpGroup, kvGroups: 8 };
        const policy = multiPruner(searched, { ratio, distribution, groups });
        const found = largestReachableRatio(searched, policy);
        const best = exhaustive(architecture, policy);
        assert.ok(Math.abs(found - best) < 1e-9, `${found} and ${best}`);
      },
    ),
    { numRuns: 400, seed: SEED },
  );
});

Deno.test("reach: a rehearsal ends at a ratio that its own steps lead to, and never above what is reachable", () => {
  fc.assert(
    fc.property(
      mixedLayers,
      fc.integer({ min: 2, max: 60 }),
      fc.infiniteStream(fc.nat()),
      (layers, ratio, picks) => {
        const architecture = model(layers);
        const options = {
          ratio,
          distribution: PRESETS.multipruner,
          groups: { channels: 8, kvGroups: 8 },
        };
        const searched = searchModelOf(architecture);
        const policy = multiPruner(searched, options);
        const end = rehearse(
          policy,
          denseState(searched.blocks),
          (candidates) => candidates[picks.next().value! % candidates.length],
        );
        assert.equal(end.ratio, pruningRatio(architecture, end.state.shape));
        assert.ok(end.ratio <= largestReachableRatio(searched, policy) + 1e-9);
      },
    ),
    { numRuns: 200, seed: SEED },
  );
});

Deno.test("reach: a model of 80 layers of many widths is answered at all", () => {
  const architecture = model(Array.from({ length: 80 }, (_, i) => ({
    attention: { queryHeads: 2 + 2 * (i % 8), kvHeads: 1 + i % 8 },
    mlp: { intermediateSize: 4000 + 37 * (i * i % 83) },
  })));
  const options = { ratio: 60, distribution: PRESETS.multipruner };
  const searched = searchModelOf(architecture);
  const policy = multiPruner(searched, { ...options, groups: { channels: 512, kvGroups: 8 } });
  // Without leaving out what is worse there are more sets of blocks than any memory holds.
  assert.ok(largestReachableRatio(searched, policy) > 60);
});

Deno.test("policy: layers with KV groups of different sizes lose whole groups only", () => {
  const shapes = [[6, 2], [8, 4], [12, 3], [5, 5]];
  const architecture = model(shapes.map(([queryHeads, kvHeads]) => ({
    attention: { queryHeads, kvHeads },
    mlp: null,
  })));
  // groups of 3, 2, 4 and 1 query heads of 4 channels
  assert.equal(headGroupUnit(architecture), 12 * 4);
  assert.equal(
    headGroupUnit(model([layersOfBlocks(architecture)[1], { attention: null, mlp: null }])),
    2 * 4,
  );
  assert.equal(headGroupUnit(model([{ attention: null, mlp: null }])), 4);
  const options = {
    ratio: 50,
    distribution: PRESETS.heads,
    groups: { channels: 1, kvGroups: 16 },
  };
  assert.throws(() => multiPruner(searchModelOf(architecture), options), /multiple of 48/);
  const wide = model([[24, 8], [24, 12], [24, 6], [24, 24]].map(([queryHeads, kvHeads]) => ({
    attention: { queryHeads, kvHeads },
    mlp: null,
  })));
  const dense = denseState(wide.blocks);
  const kept = groupCandidates(dense, KV_GROUPS, { groups: { kvGroups: headGroupUnit(wide) } })
    .map(({ first, shape }) => shape[first]!.kvGroups);
  assert.deepEqual(kept, [4, 6, 3, 12]);
});

Deno.test("policy: the presets are the published shares and each dimension alone", () => {
  assert.deepEqual(PRESETS, {
    multipruner: [44, 52, 4],
    blockpruner: [1, 0, 0],
    width: [0, 1, 0],
    heads: [0, 0, 1],
  });
});

Deno.test("reach: where kinds compete, as many steps are expected as groups make up the ratio of the dimension that holds most", () => {
  const shape = { attention: { queryHeads: 4, kvHeads: 4 }, mlp: { intermediateSize: 64 } };
  const architecture = model(Array.from({ length: 8 }, () => shape));
  const searched = searchModelOf(architecture);
  const dense = denseState(searched.blocks);
  const policy = competition(searched, { ratio: 20, groups: { channels: 16, kvGroups: 4 } });
  const steps = expectedSteps(policy, dense);
  assert.ok(steps.every(({ samples, candidates }) => samples === "block" && candidates === 32));
  // More than if blocks went, and fewer than if only the smallest candidates did.
  const count = (choose: (c: readonly Proposal[]) => Proposal) =>
    rehearse(policy, dense, choose).steps.length;
  const bySize = (c: readonly Proposal[]) =>
    c.toSorted((a, b) => searched.stored(a.shape) - searched.stored(b.shape));
  assert.ok(steps.length > count((c) => bySize(c)[0]));
  assert.ok(steps.length <= count((c) => bySize(c).at(-1)!));
  // Of either dimension, if that holds more than the other.
  for (const [intermediateSize, dimension] of [[256, "channels"], [8, "kvGroups"]] as const) {
    const searched = searchModelOf(
      model(Array.from({ length: 8 }, () => ({ ...shape, mlp: { intermediateSize } }))),
    );
    const policy = competition(searched, { ratio: 20, groups: { channels: 4, kvGroups: 4 } });
    const dense = denseState(searched.blocks);
    const taken = rehearse(
      policy,
      dense,
      (all) => all.find(({ changes: [change] }) => change.dimension === dimension)!,
    );
    assert.equal(expectedSteps(policy, dense).length, taken.steps.length, dimension);
  }
  // The end is the end, wherever the search stands.
  const half = rehearse(
    { ...policy, stages: [{ ...policy.stages[0], bound: 10 }] },
    dense,
    ([c]) => c,
  );
  assert.ok(expectedSteps(policy, half.state).length < steps.length);
  const end = rehearse(policy, dense, ([c]) => c);
  assert.deepEqual(expectedSteps(policy, end.state), []);
});
