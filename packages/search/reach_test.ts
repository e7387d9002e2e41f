import { countParameters, type LayerSpec, type ModelSpec, pruningRatio } from "@lopper/core";
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Candidate, headCandidates } from "./candidate.ts";
import { competition } from "./competition.ts";
import { headGroupUnit } from "./group_sizes.ts";
import { multiPruner, PRESETS } from "./multi_pruner.ts";
import type { SearchPolicy } from "./policy.ts";
import { expectedSteps, largestReachableRatio, rehearse } from "./reach.ts";
import { specOf } from "./testing/tiny_spec.ts";

/** Failing cases are printed with their seed; LOPPER_SEED runs them again. */
const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 17);

function model(layers: readonly LayerSpec[]): ModelSpec {
  const biases = { qkv: true, output: false, mlp: true };
  return specOf(layers, { vocabSize: 10, tiedEmbeddings: false, biases });
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

/** The largest ratio over every set of blocks that the block stage can end with, later stages going to their end. */
function exhaustive(spec: ModelSpec, policy: SearchPolicy): number {
  const [blocks, ...later] = policy.stages;
  const widths = later.map((stage) => stage.bound > 0 ? { ...stage, bound: 100 } : stage);
  const seen = new Map<string, number>();
  const walk = (layers: readonly LayerSpec[]): number => {
    const key = JSON.stringify(layers);
    const known = seen.get(key);
    if (known !== undefined) return known;
    const next = pruningRatio(spec, layers) < blocks.bound
      ? blocks.candidates(layers, blocks.bound)
      : [];
    const ratio = next.length > 0
      ? Math.max(...next.map((candidate) => walk(candidate.layers)))
      : rehearse(spec, { ...policy, stages: widths }, layers, (c) => c[c.length - 1]).ratio;
    seen.set(key, ratio);
    return ratio;
  };
  return walk(spec.layers);
}

Deno.test("reach: layers of mixed widths, blocks missing, reach what the best of all paths does", () => {
  fc.assert(
    fc.property(
      mixedLayers,
      distributions,
      fc.integer({ min: 2, max: 90 }),
      fc.constantFrom(3, 8, 16),
      (layers, distribution, ratio, mlpGroup) => {
        const spec = model(layers);
        const policy = multiPruner(spec, { ratio, distribution, mlpGroup, attentionGroup: 8 });
        const found = largestReachableRatio(spec, policy);
        const best = exhaustive(spec, policy);
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
        const spec = model(layers);
        const options = {
          ratio,
          distribution: PRESETS.multipruner,
          mlpGroup: 8,
          attentionGroup: 8,
        };
        const policy = multiPruner(spec, options);
        const end = rehearse(
          spec,
          policy,
          spec.layers,
          (candidates) => candidates[picks.next().value! % candidates.length],
        );
        assert.equal(end.ratio, pruningRatio(spec, end.layers));
        assert.ok(end.ratio <= largestReachableRatio(spec, policy) + 1e-9);
      },
    ),
    { numRuns: 200, seed: SEED },
  );
});

Deno.test("reach: a model of 80 layers of many widths is answered at once", () => {
  const spec = model(Array.from({ length: 80 }, (_, i) => ({
    attention: { queryHeads: 2 + 2 * (i % 8), kvHeads: 1 + i % 8 },
    mlp: { intermediateSize: 4000 + 37 * (i * i % 83) },
  })));
  const options = { ratio: 60, distribution: PRESETS.multipruner };
  const policy = multiPruner(spec, { ...options, mlpGroup: 512, attentionGroup: 8 });
  const start = performance.now();
  assert.ok(largestReachableRatio(spec, policy) > 60);
  assert.ok(performance.now() - start < 2000);
});

Deno.test("policy: layers with KV groups of different sizes lose whole groups only", () => {
  const shapes = [[6, 2], [8, 4], [12, 3], [5, 5]];
  const spec = model(shapes.map(([queryHeads, kvHeads]) => ({
    attention: { queryHeads, kvHeads },
    mlp: null,
  })));
  // groups of 3, 2, 4 and 1 query heads of 4 channels
  assert.equal(headGroupUnit(spec), 12 * 4);
  assert.equal(headGroupUnit(model([spec.layers[1], { attention: null, mlp: null }])), 2 * 4);
  assert.equal(headGroupUnit(model([{ attention: null, mlp: null }])), 4);
  const options = { ratio: 50, distribution: PRESETS.heads, mlpGroup: 1 };
  assert.throws(() => multiPruner(spec, { ...options, attentionGroup: 16 }), /multiple of 48/);
  const wide = model([[24, 8], [24, 12], [24, 6], [24, 24]].map(([queryHeads, kvHeads]) => ({
    attention: { queryHeads, kvHeads },
    mlp: null,
  })));
  const kept = headCandidates(wide, wide.layers, headGroupUnit(wide))
    .map(({ layer, layers }) => layers[layer].attention!.kvHeads);
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

Deno.test("reach: where kinds compete, as many steps are expected as groups make up the ratio", () => {
  const shape = { attention: { queryHeads: 4, kvHeads: 4 }, mlp: { intermediateSize: 64 } };
  const spec = model(Array.from({ length: 8 }, () => shape));
  const policy = competition(spec, { ratio: 20, mlpGroup: 16, attentionGroup: 4 });
  const steps = expectedSteps(spec, policy, spec.layers);
  assert.ok(steps.every(({ samples, candidates }) => samples === "block" && candidates === 32));
  // More than if blocks went, and fewer than if only the smallest candidates did.
  const count = (choose: (c: readonly Candidate[]) => Candidate) =>
    rehearse(spec, policy, spec.layers, choose).steps.length;
  const bySize = (c: readonly Candidate[]) =>
    c.toSorted((a, b) =>
      countParameters(spec, a.layers).total - countParameters(spec, b.layers).total
    );
  assert.ok(steps.length > count((c) => bySize(c)[0]));
  assert.ok(steps.length <= count((c) => bySize(c).at(-1)!));
  // The end is the end, wherever the search stands.
  const half = rehearse(
    spec,
    { ...policy, stages: [{ ...policy.stages[0], bound: 10 }] },
    spec.layers,
    ([c]) => c,
  );
  assert.ok(expectedSteps(spec, policy, half.layers).length < steps.length);
  const end = rehearse(spec, policy, spec.layers, ([c]) => c);
  assert.deepEqual(expectedSteps(spec, policy, end.layers), []);
});
