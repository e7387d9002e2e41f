import { isUniform, type LayerSpec, type ModelSpec, pruningRatio, UsageError } from "@lopper/core";
import { sourceOrder } from "@lopper/runtime";
import assert from "node:assert/strict";
import { checkFrontier } from "./check_frontier.ts";
import { exhaustive } from "./exhaustive.ts";
import { planOfFrontier, wayOf } from "./frontier.ts";
import type { Picker } from "./picker.ts";
import { planFromLayers } from "./plan.ts";
import { Race } from "./race/race.ts";
import { largestReachableRatio } from "./reach.ts";
import { FakeScorer } from "./testing/fake_scorer.ts";
import { runSearch } from "./testing/run_search.ts";
import { tinySpec } from "./testing/tiny_spec.ts";
import { uniformCompetition, uniformPruner } from "./uniform.ts";

const SPEC = wide(16);
const OPTIONS = {
  ratio: 30,
  mlpGroup: 256,
  attentionGroup: 32,
  distribution: [44, 52, 4],
} as const;

function wide(layers: number): ModelSpec {
  const spec = tinySpec(layers);
  const shape = { attention: { queryHeads: 4, kvHeads: 4 }, mlp: { intermediateSize: 1024 } };
  return { ...spec, headDim: 32, hiddenSize: 8, layers: spec.layers.map(() => shape) };
}

/** Layers cost what their number says, modulo 5, and narrower blocks a little. */
function byLayer(): FakeScorer {
  const nll = (layers: readonly LayerSpec[]) =>
    layers.reduce(
      (sum, { attention, mlp }, i) =>
        sum + (mlp ? 1 - mlp.intermediateSize / 1024 : 1 + (i * 3) % 5) +
        (attention ? 1 - attention.kvHeads / 4 : 0),
      2,
    );
  return new FakeScorer((layers, sequence) => nll(layers) + sequence, {
    batches: [[0, 1], [2, 3]],
    perturbation: ({ layers }, trunk) => nll(layers) - nll(trunk),
  });
}

async function search(
  policy = uniformPruner(SPEC, OPTIONS),
  picker: Picker = exhaustive,
  journal: readonly string[] = [],
) {
  const scorer = byLayer();
  const { result, lines, events } = await runSearch(SPEC, policy, scorer, { picker }, journal);
  checkFrontier(SPEC, wayOf(SPEC, result, () => sourceOrder(SPEC)));
  return { result, lines, seen: events, scored: scorer.scored };
}

const left = (layers: readonly LayerSpec[]) =>
  layers.filter(({ attention, mlp }) => attention || mlp);
const fast = () => new Race({ racing: true, lazy: true, proxies: true, threshold: true });

Deno.test("uniform: whole layers go within their share, channels of all layers take the rest to the unit", async () => {
  for (const picker of [exhaustive, fast()]) {
    const { result, seen } = await search(uniformPruner(SPEC, OPTIONS), picker);
    assert.ok(isUniform(left(result.layers)));
    const kinds = result.steps.map(({ taken }) => taken.kind);
    assert.deepEqual(kinds, ["layer", "layer", "all_mlp_channels"]);
    assert.equal(result.steps[0].taken.layer, 0, "the cheapest, and the first of two");
    assert.deepEqual(result.removalOrder.slice(0, 2), [
      { layer: 0, kind: "attention" },
      { layer: 0, kind: "mlp" },
    ]);
    const [one, two] = result.steps.map(({ ratio }) => ratio);
    assert.ok(two <= 30 * 0.44 && two + one > 30 * 0.44, "one more would cross the share");
    const { intermediateSize } = left(result.layers)[0].mlp!;
    assert.equal(intermediateSize % 32, 0);
    const wider = result.layers.map((layer) =>
      layer.mlp ? { ...layer, mlp: { intermediateSize: intermediateSize + 32 } } : layer
    );
    assert.ok(pruningRatio(SPEC, wider) < 30 && result.ratio >= 30);
    assert.ok(seen.every(({ type }) => type !== "warning"), "a stage that ends short is no event");
  }
});

Deno.test("uniform: heads go where their share has room for those of all layers, and divide the hidden size", async () => {
  const { result } = await search(
    uniformPruner(SPEC, { ...OPTIONS, distribution: [0, 70, 30] }),
  );
  const taken = result.steps.map(({ taken }) => [taken.kind, taken.width]);
  // 4 heads of 32 channels; 3 do not divide a hidden size of 8, and 1 would cross the share.
  assert.deepEqual(taken[0], ["all_attention_heads", 64]);
  assert.notEqual(taken[1][0], "all_attention_heads");
  assert.deepEqual(left(result.layers)[7].attention, { queryHeads: 2, kvHeads: 2 });
  assert.ok(result.ratio >= 30 && result.ratio < 34);
});

Deno.test("uniform: groups that are no whole units end to the channel", async () => {
  const policy = uniformPruner(SPEC, { ...OPTIONS, mlpGroup: 200 });
  const { result } = await search(policy);
  assert.ok(result.ratio >= 30 && result.ratio < 30.1, `${result.ratio}`);
});

Deno.test("uniform: layers, heads and channels compete, and a run that was cut off decides the same", async () => {
  const policies = [uniformPruner(SPEC, OPTIONS), uniformCompetition(SPEC, OPTIONS)];
  for (const policy of policies) {
    for (const make of [() => exhaustive, fast]) {
      const whole = await search(policy, make());
      assert.ok(isUniform(left(whole.result.layers)));
      assert.ok(whole.result.ratio >= 30 && whole.result.ratio < 33, `${whole.result.ratio}`);
      for (let cut = 0; cut <= whole.lines.length; cut += 3) {
        const resumed = await search(policy, make(), whole.lines.slice(0, cut));
        assert.deepEqual(resumed.result, whole.result);
      }
      assert.equal((await search(policy, make(), whole.lines)).scored, 0);
    }
  }
});

Deno.test("uniform: the frontier is the run, and each part of it leaves all layers alike", async () => {
  const order = {
    layers: SPEC.layers.map((_, l) => ({
      kvGroups: [l % 4, (l + 1) % 4, (l + 2) % 4, (l + 3) % 4],
      channels: Array.from({ length: 1024 }, (_, i) => (i * 7 + l) % 1024),
    })),
  };
  const options = { ...OPTIONS, distribution: [40, 30, 30] } as const;
  const { result: { layers, removalOrder, steps } } = await search(uniformPruner(SPEC, options));
  assert.equal(new Set(steps.map(({ taken }) => taken.kind)).size, 3);
  const frontier = wayOf(SPEC, { steps, measures: [], swaps: [] }, () => order).frontier;
  const modelDigest = "sha256:test";
  assert.deepEqual(
    planOfFrontier(SPEC, modelDigest, frontier),
    planFromLayers(layers, order, { modelDigest, removalOrder }),
  );
});

Deno.test("uniform: at least one layer and one unit stay, and what differs already is refused", () => {
  const policy = uniformCompetition(SPEC, { ...OPTIONS, ratio: 90 });
  const one = SPEC.layers.map((_, i): LayerSpec =>
    i > 0 ? { attention: null, mlp: null } : {
      attention: { queryHeads: 1, kvHeads: 1 },
      mlp: { intermediateSize: 32 },
    }
  );
  assert.equal(largestReachableRatio(SPEC, policy), pruningRatio(SPEC, one));
  const layersOnly = uniformPruner(SPEC, { ...OPTIONS, ratio: 90, distribution: [1, 0, 0] });
  const dense = SPEC.layers.map((layer, i) => i > 0 ? { attention: null, mlp: null } : layer);
  assert.equal(largestReachableRatio(SPEC, layersOnly), pruningRatio(SPEC, dense));
  const mixed = { ...SPEC, layers: SPEC.layers.map((l, i) => i ? l : { ...l, mlp: null }) };
  for (const make of [uniformPruner, uniformCompetition]) {
    assert.throws(() => make(mixed, OPTIONS), UsageError);
  }
});
