import {
  countParameters,
  type LayerSpec,
  type ModelSpec,
  pruningRatio,
  UsageError,
} from "@lopper/core";
import assert from "node:assert/strict";
import { channelCandidates, headCandidates } from "./candidate.ts";
import { planFromLayers } from "./plan.ts";
import { defaultMlpGroup } from "./group_sizes.ts";
import { multiPruner } from "./multi_pruner.ts";
import { largestReachableRatio } from "./reach.ts";
import { specOf } from "./testing/tiny_spec.ts";

function model(layers: number, intermediateSize: number, kvHeads: number): ModelSpec {
  const layer = { attention: { queryHeads: 2 * kvHeads, kvHeads }, mlp: { intermediateSize } };
  return specOf(Array.from({ length: layers }, () => layer), {
    vocabSize: 10,
    biases: { qkv: true, output: false, mlp: false },
    qkNorm: true,
  });
}
const options = { ratio: 25, distribution: [40, 50, 10], mlpGroup: 8, attentionGroup: 8 } as const;

Deno.test("policy: the bounds are the published sums, to the last bit", () => {
  const bounds = multiPruner(model(2, 32, 2), { ...options, distribution: [44, 52, 4] }).stages
    .map(({ bound }) => bound);
  assert.deepEqual(bounds, [25 * (44 / 100), 25 * (44 / 100) + 25 * (52 / 100), 25]);
});

Deno.test("policy: what makes no sense is wrong usage", () => {
  const refused = (change: Partial<Parameters<typeof multiPruner>[1]>, message: RegExp) =>
    assert.throws(
      () => multiPruner(model(2, 32, 2), { ...options, ...change }),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  refused({ ratio: 0 }, /above 0 and below 100/);
  refused({ ratio: NaN }, /above 0 and below 100/);
  refused({ distribution: [0, 0, 0] }, /not all 0/);
  refused({ mlpGroup: 0 }, /at least 1 channel/);
  refused({ attentionGroup: 4 }, /multiple of 8/);
});

Deno.test("candidates: a layer that a group would use up is none", () => {
  const { layers } = model(1, 24, 2);
  assert.deepEqual(channelCandidates(layers, 24), []);
  assert.deepEqual(channelCandidates(layers, 23).map(({ width }) => width), [1]);
  assert.deepEqual(headCandidates(model(1, 24, 2), layers, 16), []);
  const [head] = headCandidates(model(1, 24, 2), layers, 8);
  assert.deepEqual(head.layers[0].attention, { queryHeads: 2, kvHeads: 1 });
});

Deno.test("policy: the default MLP group has the published proportion", () => {
  for (
    const [width, group] of [[11008, 1024], [1536, 160], [512, 64], [160, 32], [32, 16], [1, 1]]
  ) {
    assert.equal(defaultMlpGroup(model(1, width, 1)), group, `width ${width}`);
  }
});

/** Parameters counted one weight at a time. */
function slowCount(spec: ModelSpec, layers: readonly LayerSpec[], keepNorms: boolean): number {
  const { hiddenSize: h, headDim: d } = spec;
  let total = spec.vocabSize * h + h;
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
  const spec = model(2, 24, 3);
  const layers = [{ attention: null, mlp: { intermediateSize: 10 } }, {
    ...spec.layers[1],
    mlp: null,
  }];
  assert.equal(countParameters(spec).total, slowCount(spec, spec.layers, false));
  assert.equal(countParameters(spec, layers).total, slowCount(spec, layers, false));
  const ratio = (1 - slowCount(spec, layers, true) / slowCount(spec, spec.layers, true)) * 100;
  assert.equal(pruningRatio(spec, layers), ratio);
});

/** The largest ratio over every path that the search could take. */
function exhaustiveReach(spec: ModelSpec, policy: ReturnType<typeof multiPruner>): number {
  const seen = new Map<string, number>();
  const walk = (stage: number, layers: readonly LayerSpec[]): number => {
    if (stage === policy.stages.length) return pruningRatio(spec, layers);
    const key = stage + JSON.stringify(layers);
    const known = seen.get(key);
    if (known !== undefined) return known;
    const { name, bound, candidates } = policy.stages[stage];
    // As in the search, but later stages may go on past their share.
    const limit = name === "blocks" || bound <= 0 ? bound : 100;
    const next = pruningRatio(spec, layers) < limit ? candidates(layers, bound) : [];
    const best = next.length === 0
      ? walk(stage + 1, layers)
      : Math.max(...next.map((candidate) => walk(stage, candidate.layers)));
    seen.set(key, best);
    return best;
  };
  return walk(0, spec.layers);
}

Deno.test("reach: the largest ratio is that of the best of all paths", () => {
  for (
    const [layers, width, kvHeads] of [[1, 24, 2], [2, 24, 2], [3, 16, 1], [2, 40, 3], [3, 9, 4]]
  ) {
    for (
      const distribution of [[40, 50, 10], [1, 0, 0], [0, 1, 0], [0, 0, 1], [10, 90, 0]] as const
    ) {
      for (const ratio of [5, 20, 50]) {
        const spec = model(layers, width, kvHeads);
        const policy = multiPruner(spec, { ...options, ratio, distribution });
        const found = largestReachableRatio(spec, policy);
        const best = exhaustiveReach(spec, policy);
        assert.ok(
          Math.abs(found - best) < 1e-9,
          `${layers} layers, width ${width}, ${distribution} at ${ratio} %: ${found} and ${best}`,
        );
      }
    }
  }
});

Deno.test("plan: the most important units of a layer, in the order of the checkpoint", () => {
  const spec = model(2, 4, 3);
  const order = {
    layers: [{ kvGroups: [2, 0, 1], channels: [3, 1, 0, 2] }, {
      kvGroups: [0, 1, 2],
      channels: [0, 1, 2, 3],
    }],
  };
  const layers = [
    { attention: { queryHeads: 4, kvHeads: 2 }, mlp: { intermediateSize: 3 } },
    { attention: null, mlp: spec.layers[1].mlp },
  ];
  const plan = planFromLayers(layers, order, { modelDigest: "sha256:x", removalOrder: [] });
  assert.deepEqual(plan.layers, [
    { attention: { kvGroups: [0, 2] }, mlp: { channels: [0, 1, 3] } },
    { attention: "removed", mlp: { channels: [0, 1, 2, 3] } },
  ]);
});
