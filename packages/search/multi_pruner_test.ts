import {
  type Architecture,
  countParameters,
  planOf,
  pruningRatio,
  type Ranking,
  UsageError,
} from "@lopper/core";
import { layersOfShape, shapeOfLayers } from "@lopper/models/testing";
import { type LayerSizes, layersOfBlocks } from "@lopper/models";
import assert from "node:assert/strict";
import { groupCandidates } from "./candidates.ts";
import { defaultMlpGroup, PUBLISHED_MLP_GROUPS } from "./group_sizes.ts";
import { multiPruner } from "./multi_pruner.ts";
import { changesTo } from "./plan.ts";
import { largestReachableRatio } from "./reach.ts";
import { savedBy } from "./saved.ts";
import { searchModelOf } from "./search_model.ts";
import { denseState, type SearchState, stateAfter } from "./state.ts";
import { architectureOf } from "./testing/tiny_architecture.ts";

function model(layers: number, intermediateSize: number, kvHeads: number): Architecture {
  const layer = { attention: { queryHeads: 2 * kvHeads, kvHeads }, mlp: { intermediateSize } };
  return architectureOf(Array.from({ length: layers }, () => layer), {
    vocabSize: 10,
    traits: ["qkvBias"],
    qkNorm: true,
  });
}
const options = {
  ratio: 25,
  distribution: [40, 50, 10],
  groups: { channels: 8, kvGroups: 8 },
} as const;
const policyOf = (
  architecture: Architecture,
  change: Partial<Parameters<typeof multiPruner>[1]> = {},
) => multiPruner(searchModelOf(architecture), { ...options, ...change });

Deno.test("policy: the bounds are the published sums, to the last bit", () => {
  const bounds = policyOf(model(2, 32, 2), { distribution: [44, 52, 4] }).stages
    .filter(({ takesOver }) => !takesOver).map(({ bound }) => bound);
  assert.deepEqual(bounds, [25 * (44 / 100), 25 * (44 / 100) + 25 * (52 / 100), 25]);
});

Deno.test("policy: dimensions with a share go on where the last has nothing left, and hand over nothing else", () => {
  const on = (distribution: readonly [number, number, number]) =>
    policyOf(model(2, 32, 2), { distribution }).stages
      .filter(({ takesOver }) => takesOver).map(({ name, bound }) => `${name} to ${bound}`);
  assert.deepEqual(on([44, 52, 4]), ["channels to 25"]);
  assert.deepEqual(on([0, 1, 0]), ["channels to 25"]);
  assert.deepEqual(on([1, 0, 0]), []);
  assert.deepEqual(on([0, 0, 1]), []);
});

Deno.test("policy: what makes no sense is wrong usage", () => {
  const refused = (change: Partial<Parameters<typeof multiPruner>[1]>, message: RegExp) =>
    assert.throws(
      () => policyOf(model(2, 32, 2), change),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  refused({ ratio: 0 }, /above 0 and below 100/);
  refused({ ratio: NaN }, /above 0 and below 100/);
  refused({ distribution: [0, 0, 0] }, /not all 0/);
  refused({ distribution: [1, 1] }, /needs 3 shares/);
  refused({ groups: { channels: 0, kvGroups: 8 } }, /the MLP group is 0; .* at least 1 channel/);
  refused(
    { groups: { channels: 1, kvGroups: 4 } },
    /attention group is 4 query channels; .* multiple of 8, so that whole KV groups go/,
  );
});

Deno.test("candidates: a layer that a group would use up is none", () => {
  const architecture = model(1, 24, 2);
  const of = (dimension: string, group: number) =>
    groupCandidates(denseState(architecture.blocks), { name: dimension }, {
      groups: { [dimension]: group },
    });
  assert.deepEqual(of("channels", 24), []);
  assert.deepEqual(of("channels", 23).map(({ key }) => key), ["0.mlp channels→1"]);
  assert.deepEqual(of("kvGroups", 16), []);
  const [head] = of("kvGroups", 8);
  assert.deepEqual(layersOfShape(architecture, head.shape)[0].attention, {
    queryHeads: 2,
    kvHeads: 1,
  });
});

Deno.test("policy: the default MLP group has the published proportion", () => {
  for (
    const [width, group] of [[11008, 1024], [1536, 160], [512, 64], [160, 32], [32, 16], [1, 1]]
  ) {
    assert.equal(
      defaultMlpGroup(model(1, width, 1), PUBLISHED_MLP_GROUPS),
      group,
      `width ${width}`,
    );
  }
});

/** Parameters counted one weight at a time. */
function slowCount(
  architecture: Architecture,
  layers: readonly LayerSizes[],
  keepNorms: boolean,
): number {
  const { hiddenSize: h, headDim: d } = architecture;
  let total = architecture.vocabSize * h + h;
  for (const { attention, mlp } of layers) {
    if (attention) {
      const [q, kv] = [attention.queryHeads * d, attention.kvHeads * d];
      total += q * h + q + 2 * (kv * h + kv) + h * q + 2 * d;
    }
    if (mlp) total += 3 * mlp.intermediateSize * h;
    total += (attention || keepNorms ? h : 0) + (mlp || keepNorms ? h : 0);
  }
  return total;
}

Deno.test("counts: parameters and the published ratio, blocks missing", () => {
  const architecture = model(2, 24, 3);
  const layers = [{ attention: null, mlp: { intermediateSize: 10 } }, {
    ...layersOfBlocks(architecture)[1],
    mlp: null,
  }];
  assert.equal(
    countParameters(architecture).total,
    slowCount(architecture, layersOfBlocks(architecture), false),
  );
  assert.equal(
    countParameters(architecture, shapeOfLayers(architecture, layers)).total,
    slowCount(architecture, layers, false),
  );
  const ratio = (1 -
    slowCount(architecture, layers, true) /
      slowCount(architecture, layersOfBlocks(architecture), true)) *
    100;
  assert.equal(pruningRatio(architecture, shapeOfLayers(architecture, layers)), ratio);
});

/** The largest ratio over every path that the search could take. */
function exhaustiveReach(
  architecture: Architecture,
  policy: ReturnType<typeof multiPruner>,
): number {
  const { blocks, parameters } = searchModelOf(architecture);
  const seen = new Map<string, number>();
  const walk = (stage: number, state: SearchState): number => {
    const ratio = savedBy(parameters, blocks, state.shape);
    if (stage === policy.stages.length) return ratio;
    const key = stage + JSON.stringify(state.shape);
    const known = seen.get(key);
    if (known !== undefined) return known;
    const { name, bound, candidates } = policy.stages[stage];
    // As in the search, but later stages may go on past their share.
    const limit = name === "blocks" || bound <= 0 ? bound : 100;
    const next = ratio < limit ? candidates(state, bound) : [];
    const best = next.length === 0
      ? walk(stage + 1, state)
      : Math.max(...next.map((candidate) => walk(stage, stateAfter(state, candidate))));
    seen.set(key, best);
    return best;
  };
  return walk(0, denseState(blocks));
}

Deno.test("reach: the largest ratio is that of the best of all paths", () => {
  for (
    const [layers, width, kvHeads] of [[1, 24, 2], [2, 24, 2], [3, 16, 1], [2, 40, 3], [3, 9, 4]]
  ) {
    for (
      const distribution of [[40, 50, 10], [1, 0, 0], [0, 1, 0], [0, 0, 1], [10, 90, 0]] as const
    ) {
      for (const ratio of [5, 20, 50]) {
        const architecture = model(layers, width, kvHeads);
        const policy = policyOf(architecture, { ratio, distribution });
        const found = largestReachableRatio(searchModelOf(architecture), policy);
        const best = exhaustiveReach(architecture, policy);
        assert.ok(
          Math.abs(found - best) < 1e-9,
          `${layers} layers, width ${width}, ${distribution} at ${ratio} %: ${found} and ${best}`,
        );
      }
    }
  }
});

Deno.test("plan: the most important units of a layer, in the order of the checkpoint", () => {
  const architecture = model(2, 4, 3);
  const ranking: Ranking = [
    { kvGroups: [2, 0, 1] },
    { channels: [3, 1, 0, 2] },
    { kvGroups: [0, 1, 2] },
    { channels: [0, 1, 2, 3] },
  ];
  const layers = [
    { attention: { queryHeads: 4, kvHeads: 2 }, mlp: { intermediateSize: 3 } },
    { attention: null, mlp: layersOfBlocks(architecture)[1].mlp },
  ];
  const state = denseState(architecture.blocks, ranking);
  const plan = planOf(
    architecture,
    "sha256:x",
    changesTo(state, shapeOfLayers(architecture, layers)),
  );
  assert.deepEqual(plan.removalOrder, [{ layer: 1, kind: "attention" }]);
  assert.deepEqual(plan.layers, [
    { attention: { kvGroups: [0, 2] }, mlp: { channels: [0, 1, 3] } },
    { attention: "removed", mlp: { channels: [0, 1, 2, 3] } },
  ]);
});
