import assert from "node:assert/strict";
import { type Architecture, isUniform, keepLayers, resizedBlocks } from "./architecture.ts";
import type { UnitAxis } from "./axis.ts";
import { type Block, parametersOfBlock } from "./block.ts";
import { placesAlong } from "./owners.ts";
import { afterChanges, allKept, inTurns, shapeOfKept, sourceRanking } from "./change.ts";
import { PlanError } from "./errors.ts";
import { densePlan, keptOf, planOfKept } from "./prune_plan.ts";
import { fewestExperts, routingOf } from "./routing.ts";

/** A mixture of nine experts in three groups, of which tokens go to two. */
const MIXTURE: Block = {
  id: "1.experts",
  layer: 1,
  kind: "experts",
  dimensions: [{ name: "experts", units: 9, groups: 3 }],
  routing: { topK: 4, softmaxOver: null, topGroups: 2 },
  weights: [],
};
const MLP: Block = {
  id: "0.mlp",
  layer: 0,
  kind: "mlp",
  dimensions: [{ name: "channels", units: 4 }],
  weights: [],
};
const LAYERS = { layerCount: 2, kinds: ["mlp", "experts"], eitherOf: ["mlp", "experts"] };

Deno.test("groups: as many stay in each, or the change and the plan are refused", () => {
  const change = (removed: readonly number[]) =>
    afterChanges([MIXTURE], allKept([MIXTURE]), [
      { part: "1.experts", dimension: "experts", removed },
    ]);
  assert.deepEqual(change([0, 5, 6]), [{ experts: [1, 2, 3, 4, 7, 8] }]);
  assert.throws(() => change([0, 1, 6]), (error) => {
    assert.ok(error instanceof PlanError);
    assert.match(error.message, /of the experts of block 1\.experts, 3 groups keep 1, 3, 2; they/);
    return true;
  });
  const plan = (experts: readonly number[]) =>
    planOfKept({ ...LAYERS, blocks: [MLP, MIXTURE] }, [{ channels: [0] }, { experts }], {
      modelDigest: "m",
      removalOrder: [],
    });
  const blocks = [MLP, MIXTURE];
  assert.deepEqual(keptOf({ ...LAYERS, blocks }, plan([0, 4, 8]))[1], { experts: [0, 4, 8] });
  assert.throws(
    () => keptOf({ ...LAYERS, blocks }, plan([0, 1, 8])),
    /experts of the experts of layer 1, 3 groups keep 2, 0, 1/,
  );
});

Deno.test("groups: they take turns in a ranking, those of one in their order", () => {
  assert.deepEqual(sourceRanking([MIXTURE]), [{ experts: [0, 3, 6, 1, 4, 7, 2, 5, 8] }]);
  const ranked = [8, 7, 6, 0, 2, 1, 5, 3, 4];
  assert.deepEqual(inTurns(ranked, MIXTURE.dimensions[0]), [0, 5, 8, 2, 3, 7, 1, 4, 6]);
  assert.deepEqual(inTurns(ranked, { units: 9 }), ranked);
});

/** Three experts and one more for all tokens, of two channels each. */
const OWNERS: Block = {
  ...{ id: "0.experts", layer: 0, kind: "experts", routing: { topK: 2, softmaxOver: "all" } },
  dimensions: [{ name: "experts", units: 3 }, { name: "channels", units: 2, owners: 4 }],
  weights: [
    {
      name: "up",
      axes: [{ dimension: "experts", width: 1 }, { dimension: "channels", width: 1 }, 5],
      stacked: true,
    },
    { name: "shared_up", axes: [{ dimension: "channels", width: 1, from: 3 }, 5] },
  ],
};

Deno.test("owners: each keeps as many of its own, those of one that goes count no more", () => {
  const [dense] = allKept([OWNERS]);
  assert.deepEqual(dense, { experts: [0, 1, 2], channels: [0, 1, 2, 3, 4, 5, 6, 7] });
  assert.deepEqual(shapeOfKept([OWNERS], [dense]), [{ experts: 3, channels: 2 }]);
  assert.deepEqual(sourceRanking([OWNERS])[0]!.channels, [0, 2, 4, 6, 1, 3, 5, 7]);
  const change = (removed: readonly number[]) =>
    afterChanges([OWNERS], [dense], [
      { part: "0.experts", dimension: "channels", removed },
      { part: "0.experts", dimension: "experts", removed: [1] },
    ]);
  const kept = change([0, 3, 4, 7]);
  assert.deepEqual(kept, [{ experts: [0, 2], channels: [1, 2, 5, 6] }]);
  assert.throws(() => change([0, 3, 4]), /channels of block 0\.experts, 4 experts keep 1, 1, 1, 2/);
  const shape = shapeOfKept([OWNERS], kept);
  assert.deepEqual(shape, [{ experts: 2, channels: 1 }]);
  assert.equal(parametersOfBlock(OWNERS, shape[0]!, { norms: true }), 2 * 5 + 5);
  const [left] = resizedBlocks([OWNERS], shape);
  assert.deepEqual(left.dimensions[1], { name: "channels", units: 1, owners: 3 });
  assert.deepEqual(left.weights[1].axes[0], { dimension: "channels", width: 1, from: 2 });
  assert.deepEqual([...placesAlong(OWNERS, OWNERS.weights[1].axes[0] as UnitAxis, [1, 2, 5, 6])], [
    0,
  ]);
});

Deno.test("owners: a plan names what they keep where that is not all, and plans without it keep all", () => {
  const layers = { layerCount: 1, kinds: ["experts"], blocks: [OWNERS] };
  const rest = { modelDigest: "m", removalOrder: [] };
  const [dense] = allKept([OWNERS]);
  const plan = planOfKept(layers, [{ ...dense, experts: [0, 2] }], rest);
  assert.deepEqual(plan.layers, [{ experts: { experts: [0, 2] } }]);
  assert.deepEqual(keptOf(layers, plan), [{ ...dense, experts: [0, 2] }]);
  const narrower = planOfKept(layers, [{ ...dense, channels: [0, 2, 5, 6] }], rest);
  assert.deepEqual(keptOf(layers, narrower), [{ ...dense, channels: [0, 2, 5, 6] }]);
  assert.throws(
    () => keptOf(layers, planOfKept(layers, [{ ...dense, channels: [0, 1, 5, 6] }], rest)),
    /channels of the experts of layer 0, 4 experts keep 2, 0, 1, 1/,
  );
});

Deno.test("groups: no token goes to more experts than there are in those it goes to", () => {
  const { routing } = MIXTURE;
  assert.equal(routingOf(routing!, 9, 3), routing);
  assert.equal(routingOf(routing!, 3, 3).topK, 2);
  const [few] = resizedBlocks([MIXTURE], [{ experts: 3 }]);
  assert.deepEqual([few.routing!.topK, few.routing!.topGroups], [2, 2]);
  assert.deepEqual(few.dimensions, [{ name: "experts", units: 3, groups: 3 }]);
  // Two of each, by which groups are compared, and so many that a token still finds four.
  assert.equal(fewestExperts(routing!, 3), 6);
  assert.equal(fewestExperts({ ...routing!, topK: 5 }, 3), 9);
  assert.equal(fewestExperts({ ...routing!, topK: 1 }, 3), 6);
  assert.equal(fewestExperts({ topK: 4, softmaxOver: "all" }), 4);
});

Deno.test("layers: an MLP in place of a mixture makes none of them lack a block", () => {
  const architecture: Architecture = {
    ...{ family: "toy", hiddenSize: 1, headDim: 1, vocabSize: 1, maxPositions: 1 },
    ...{ norm: { kind: "rms", eps: 1 }, outer: [], tiedEmbeddings: true, eosTokenIds: [] },
    ...LAYERS,
    blocks: [MLP, MIXTURE],
  };
  assert.equal(isUniform(architecture), true);
  const dense = densePlan(architecture, "m");
  assert.deepEqual(dense.layers.map((layer) => Object.keys(layer)), [["mlp"], ["experts"]]);
  const gone = planOfKept(architecture, [null, { experts: [0, 3, 6] }], {
    ...{ modelDigest: "m", removalOrder: [] },
  });
  assert.deepEqual(gone.layers[0], { mlp: "removed" });
  const second = {
    ...MIXTURE,
    id: "0.experts",
    layer: 0,
    dimensions: [{ name: "experts", units: 3 }],
  };
  assert.equal(isUniform({ ...architecture, blocks: [second, MIXTURE] }), false, "sizes differ");
  assert.equal(isUniform({ ...architecture, blocks: [MIXTURE] }), false, "a layer has no block");
  const { kinds, eitherOf } = keepLayers(architecture, [1]);
  assert.deepEqual([kinds, eitherOf], [["experts"], undefined]);
  assert.deepEqual(keepLayers(architecture, [0, 1]).eitherOf, LAYERS.eitherOf);
});
