import {
  type Architecture,
  denseShape,
  isUniform,
  keepLayers,
  type KeptUnits,
  layersWithBlocks,
  planOf,
  prunedArchitecture,
  pruningRatio,
  removalsOf,
  UsageError,
  withShape,
} from "@lopper/core";
import { layersOfShape, shapeOfLayers } from "@lopper/models/testing";
import { type LayerSizes, layersOfBlocks } from "@lopper/models";
import assert from "node:assert/strict";
import { checkWay } from "./check_way.ts";
import { exhaustive } from "./exhaustive.ts";
import { kindOfChanges } from "./part.ts";
import type { Picker } from "./picker.ts";
import { Race } from "./race/race.ts";
import { largestReachableRatio } from "./reach.ts";
import { searchModelOf } from "./search_model.ts";
import type { SearchPolicy } from "./policy.ts";
import { byLayers, FakeScorer } from "./testing/fake_scorer.ts";
import { runSearch } from "./testing/run_search.ts";
import { architectureOf } from "./testing/tiny_architecture.ts";
import { uniformCompetition, uniformPruner } from "./uniform.ts";
import { changesOf, wayOf } from "./way.ts";

const ARCHITECTURE = wide(16);
const MODEL = searchModelOf(ARCHITECTURE);
const OPTIONS = {
  ratio: 30,
  groups: { channels: 256, kvGroups: 32 },
  distribution: [44, 52, 4],
} as const;

function wide(layers: number): Architecture {
  const layer = { attention: { queryHeads: 4, kvHeads: 4 }, mlp: { intermediateSize: 1024 } };
  return architectureOf(Array.from({ length: layers }, () => layer), { headDim: 32 });
}

/** Layers cost what their number says, modulo 5, and narrower blocks a little. */
function byLayer(): FakeScorer {
  const nll = (layers: readonly LayerSizes[]) =>
    layers.reduce(
      (sum, { attention, mlp }, i) =>
        sum + (mlp ? 1 - mlp.intermediateSize / 1024 : 1 + (i * 3) % 5) +
        (attention ? 1 - attention.kvHeads / 4 : 0),
      2,
    );
  return new FakeScorer(byLayers(ARCHITECTURE, (layers, sequence) => nll(layers) + sequence), {
    batches: [[0, 1], [2, 3]],
    perturbation: ({ shape }, base) =>
      nll(layersOfShape(ARCHITECTURE, shape)) - nll(layersOfShape(ARCHITECTURE, base)),
  });
}

async function search(
  policy: SearchPolicy,
  picker: Picker = exhaustive,
  journal: readonly string[] = [],
) {
  const scorer = byLayer();
  const { result, lines, events } = await runSearch(MODEL, policy, scorer, { picker }, journal);
  checkWay(MODEL, wayOf(MODEL, result));
  const layers = layersOfShape(ARCHITECTURE, result.state.shape);
  return { result, layers, lines, seen: events, scored: scorer.scored };
}

const left = (layers: readonly LayerSizes[]) =>
  layers.filter(({ attention, mlp }) => attention || mlp);
/** Whether all layers that are left are alike. */
const alike = (architecture: Architecture) =>
  isUniform(keepLayers(architecture, layersWithBlocks(architecture)));
const fast = () => new Race({ racing: true, lazy: true, proxies: true, threshold: true });

Deno.test("uniform: whole layers go within their share, channels of all layers take the rest to the unit", async () => {
  for (const picker of [exhaustive, fast()]) {
    const { result, layers, seen } = await search(uniformPruner(MODEL, OPTIONS), picker);
    assert.ok(alike(withShape(ARCHITECTURE, shapeOfLayers(ARCHITECTURE, layers))));
    const kinds = result.steps.map(({ taken }) => kindOfChanges(taken.changes));
    assert.deepEqual(kinds, ["layer", "layer", "all channels"]);
    const [{ taken: { key, changes } }] = result.steps;
    assert.equal(key, "0.attention, 0.mlp", "the cheapest, and the first of two");
    assert.deepEqual(removalsOf(changes), ["0.attention", "0.mlp"]);
    const [one, two] = result.steps.map(({ ratio }) => ratio);
    assert.ok(two <= 30 * 0.44 && two + one > 30 * 0.44, "one more would cross the share");
    const { intermediateSize } = left(layers)[0].mlp!;
    assert.equal(intermediateSize % 32, 0);
    const wider = layers.map((layer) =>
      layer.mlp ? { ...layer, mlp: { intermediateSize: intermediateSize + 32 } } : layer
    );
    assert.ok(
      pruningRatio(ARCHITECTURE, shapeOfLayers(ARCHITECTURE, wider)) < 30 && result.ratio >= 30,
    );
    assert.ok(seen.every(({ type }) => type !== "warning"), "a stage that ends short is no event");
  }
});

Deno.test("uniform: heads go where their share has room for those of all layers, and divide the hidden size", async () => {
  const { result, layers } = await search(
    uniformPruner(MODEL, { ...OPTIONS, distribution: [0, 70, 30] }),
  );
  const kinds = result.steps.map(({ taken }) => kindOfChanges(taken.changes));
  // 4 heads of 32 channels; 3 do not divide a hidden size of 8, and 1 would cross the share.
  assert.equal(kinds[0], "all kvGroups");
  assert.match(result.steps[0].taken.key, /^0\.attention kvGroups→2, .*15\.attention kvGroups→2$/);
  assert.notEqual(kinds[1], "all kvGroups");
  assert.deepEqual(left(layers)[7].attention, { queryHeads: 2, kvHeads: 2 });
  assert.ok(result.ratio >= 30 && result.ratio < 34);
});

Deno.test("uniform: groups that are no whole units end to the channel", async () => {
  const policy = uniformPruner(MODEL, {
    ...OPTIONS,
    groups: { channels: 200, kvGroups: 32 },
  });
  const { result } = await search(policy);
  assert.ok(result.ratio >= 30 && result.ratio < 30.1, `${result.ratio}`);
});

Deno.test("uniform: layers, heads and channels compete, and a run that was cut off decides the same", async () => {
  const policies = [uniformPruner(MODEL, OPTIONS), uniformCompetition(MODEL, OPTIONS)];
  for (const policy of policies) {
    for (const make of [() => exhaustive, fast]) {
      const whole = await search(policy, make());
      assert.ok(alike(withShape(ARCHITECTURE, whole.result.state.shape)));
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
  const ranking = ARCHITECTURE.blocks.map(({ layer: l, attention }): KeptUnits =>
    attention
      ? { kvGroups: [l % 4, (l + 1) % 4, (l + 2) % 4, (l + 3) % 4] }
      : { channels: Array.from({ length: 1024 }, (_, i) => (i * 7 + l) % 1024) }
  );
  const options = { ...OPTIONS, distribution: [40, 30, 30] } as const;
  const policy = uniformPruner(MODEL, options);
  const { result } = await runSearch(MODEL, policy, byLayer(), {
    picker: exhaustive,
    units: { ranking },
  });
  const { steps, state } = result;
  assert.equal(new Set(steps.map(({ taken }) => kindOfChanges(taken.changes))).size, 3);
  const way = wayOf(MODEL, result);
  for (let n = 1; n <= steps.length; n++) {
    const part = changesOf({ ...way, frontier: way.frontier.slice(0, n) });
    assert.ok(alike(prunedArchitecture(ARCHITECTURE, planOf(ARCHITECTURE, "m", part))));
  }
  assert.deepEqual(
    planOf(ARCHITECTURE, "m", changesOf(way)),
    planOf(ARCHITECTURE, "m", result.changes),
  );
  for (const [at, kept] of state.kept.entries()) {
    for (const [dimension, units] of Object.entries(kept ?? {})) {
      const most = ranking[at]![dimension].slice(0, units.length);
      assert.deepEqual(units, most.toSorted((a, b) => a - b), "the most important stay");
    }
  }
});

Deno.test("uniform: at least one layer and one unit stay, and what differs already is refused", () => {
  const policy = uniformCompetition(MODEL, { ...OPTIONS, ratio: 90 });
  const one = layersOfBlocks(ARCHITECTURE).map((_, i): LayerSizes =>
    i > 0 ? { attention: null, mlp: null } : {
      attention: { queryHeads: 1, kvHeads: 1 },
      mlp: { intermediateSize: 32 },
    }
  );
  assert.equal(
    largestReachableRatio(MODEL, policy),
    pruningRatio(ARCHITECTURE, shapeOfLayers(ARCHITECTURE, one)),
  );
  const layersOnly = uniformPruner(MODEL, { ...OPTIONS, ratio: 90, distribution: [1, 0, 0] });
  const dense = layersOfBlocks(ARCHITECTURE).map((layer, i) =>
    i > 0 ? { attention: null, mlp: null } : layer
  );
  assert.equal(
    largestReachableRatio(MODEL, layersOnly),
    pruningRatio(ARCHITECTURE, shapeOfLayers(ARCHITECTURE, dense)),
  );
  const mixed = withShape(ARCHITECTURE, denseShape(ARCHITECTURE.blocks).with(1, null));
  for (const make of [uniformPruner, uniformCompetition]) {
    assert.throws(() => make(searchModelOf(mixed), OPTIONS), UsageError);
  }
});
