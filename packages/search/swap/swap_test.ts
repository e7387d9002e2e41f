import {
  countParameters,
  prunedArchitecture,
  pruningRatio,
  removalsOf,
  ResumeError,
} from "@lopper/core";
import { layersOfShape } from "@lopper/models/testing";
import { type LayerSizes, layersOfBlocks } from "@lopper/models";
import assert from "node:assert/strict";
import fc from "fast-check";
import { competition } from "../competition.ts";
import { multiPruner } from "../multi_pruner.ts";
import type { SearchPolicy } from "../policy.ts";
import type { SearchResult } from "../search.ts";
import { MAX_SWAPS } from "./swap.ts";
import { keptSwaps } from "./swap_line.ts";
import type { LayerLoss } from "../testing/fake_scorer.ts";
import { ARCHITECTURE, MODEL, search } from "../testing/fake_search.ts";
import { hash } from "../testing/hash.ts";
import { denseState, type SearchState } from "../state.ts";
import { uniformCompetition, uniformPruner } from "../uniform.ts";
import type { SwapLine } from "../journal_lines.ts";

const GROUPS = { groups: { channels: 8, kvGroups: 8 } };
const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 17);

/** What is gone, e.g. "mlp 0, mlp 2". */
function goneOf({ shape }: SearchState): string {
  return gone(layersOfShape(ARCHITECTURE, shape));
}

function gone(layers: readonly LayerSizes[]): string {
  return (["attention", "mlp"] as const).flatMap((kind) =>
    layers.flatMap((layer, i) => layer[kind] ? [] : [`${kind} ${i}`])
  ).join(", ");
}

/** Blocks only; two MLPs of four go. */
const TWO_BLOCKS = multiPruner(MODEL, { ratio: 30, distribution: [1, 0, 0], ...GROUPS });

/**
 * MLP 0 is the least of all, but MLPs 1 and 2 are the least pair: a greedy search cannot find it.
 */
const JEALOUS: LayerLoss = (layers, s) => {
  const losses: Record<string, number> = {
    "": 0,
    "mlp 0": 1,
    "mlp 1": 1.1,
    "mlp 2": 1.2,
    "mlp 0, mlp 1": 4,
    "mlp 0, mlp 2": 5,
    "mlp 1, mlp 2": 1.3,
    "mlp 0, mlp 1, mlp 2": 5.5,
  };
  return s + (losses[gone(layers)] ?? 20);
};

Deno.test("swap: what a greedy search took too early comes back, and the loss falls", async () => {
  const greedy = await search(JEALOUS, TWO_BLOCKS, { swap: false });
  assert.equal(goneOf(greedy.result.state), "mlp 0, mlp 1");
  assert.deepEqual(greedy.result.swaps, []);
  const { result, trials } = await search(JEALOUS, TWO_BLOCKS);
  assert.equal(goneOf(result.state), "mlp 1, mlp 2");
  assert.deepEqual(result.steps, greedy.result.steps, "the steps are as searched");
  assert.deepEqual(
    keptSwaps(trials).map(({ restored, removed }) => [restored, removed]),
    [["0.mlp channels→32", "2.mlp"]],
  );
  const all = Array.from({ length: 32 }, (_, unit) => unit);
  assert.deepEqual(keptSwaps(trials)[0].kept, [
    { part: "0.mlp", dimension: "channels", removed: [], restored: all },
    { part: "2.mlp", dimension: null, removed: [] },
  ]);
  assert.deepEqual(removalsOf(result.changes), ["1.mlp", "2.mlp"]);
  assert.equal(result.ratio, greedy.result.ratio);
  const end = result.swaps.at(-1)!;
  assert.deepEqual([end.type, end.after.map((x, s) => x - s > 1.2 && x - s < 1.4)], [
    "swaps",
    Array(8).fill(true),
  ]);
});

Deno.test("swap: where losses add up, greedy was right, and nothing is swapped", async () => {
  const weights = [3, 1, 4, 1.5, 9, 2.6, 5, 3.5];
  const additive: LayerLoss = (layers, s) =>
    layers.reduce(
      (sum, { attention, mlp }, i) =>
        sum + weights[i] * (2 - (attention?.kvHeads ?? 0)) +
        weights[i + 4] * (32 - (mlp?.intermediateSize ?? 0)) / 8,
      s,
    );
  const plain = await search(additive, TWO_BLOCKS, { swap: false });
  const { result } = await search(additive, TWO_BLOCKS);
  assert.deepEqual(keptSwaps(result.swaps), []);
  assert.deepEqual(result.state.kept, plain.result.state.kept);
  assert.equal(result.swaps.at(-1)?.type, "swaps", "that nothing helped is recorded");
});

Deno.test("swap: a gain that is not significant, or one that validation text does not share, is refused", async () => {
  // On the mean it is better, because of one sequence.
  const lucky: LayerLoss = (layers, s) =>
    gone(layers) === "mlp 1, mlp 2" ? (s === 0 ? -40 : 5 + s) : JEALOUS(layers, s);
  const insignificant = await search(lucky, TWO_BLOCKS);
  assert.equal(goneOf(insignificant.result.state), "mlp 0, mlp 1");
  assert.ok(
    insignificant.trials.length > 0 &&
      insignificant.trials.every(({ validation, kept }) => !validation && !kept),
  );

  const validation = (change: number): LayerLoss => (layers, s) =>
    s + (gone(layers) === "mlp 1, mlp 2" ? 7 + change : 7);
  const worse = await search(JEALOUS, TWO_BLOCKS, { validation: validation(1e-6) });
  assert.equal(goneOf(worse.result.state), "mlp 0, mlp 1");
  assert.equal(worse.trials[0].validation?.after.length, 8);
  const equal = await search(JEALOUS, TWO_BLOCKS, { validation: validation(0) });
  assert.equal(goneOf(equal.result.state), "mlp 1, mlp 2");
});

Deno.test("swap: none takes the held-out text beyond its limit, and what it leaves is measured", async () => {
  const heldOut = (after: number): LayerLoss => (layers) =>
    gone(layers) === "mlp 1, mlp 2" ? after : gone(layers) === "" ? 1 : 1.05;
  const options = { maxIncrease: 0.1 };
  const beyond = await search(JEALOUS, TWO_BLOCKS, { ...options, heldOut: heldOut(1.2) });
  assert.equal(goneOf(beyond.result.state), "mlp 0, mlp 1");
  const within = await search(JEALOUS, TWO_BLOCKS, { ...options, heldOut: heldOut(1.07) });
  assert.equal(goneOf(within.result.state), "mlp 1, mlp 2");
  assert.equal(within.way.swaps[0].kept[0].heldOut, Math.exp(1.07));
  assert.equal(within.way.frontier[1].heldOut, Math.exp(1.05), "the step keeps its own");
});

Deno.test("swap: kinds without a share stay whole, and policies of equal layers exchange nothing", () => {
  const removals = (distribution: readonly [number, number, number]) => {
    const { stages } = multiPruner(MODEL, { ratio: 20, distribution, ...GROUPS });
    const [exchange, ...others] = stages.flatMap((stage) => stage.exchange ?? []);
    assert.deepEqual([exchange.target, others], [20, []]);
    return [...new Set(exchange.removals(denseState(MODEL.blocks)).map((c) => c.likeness))];
  };
  assert.deepEqual(removals([1, 0, 0]), ["attention", "mlp"]);
  assert.deepEqual(removals([0, 1, 0]), ["mlp channels"]);
  assert.deepEqual(removals([0, 0, 1]), ["attention kvGroups"]);
  const all = ["attention", "mlp", "mlp channels", "attention kvGroups"];
  assert.deepEqual(removals([44, 52, 4]), all);
  const options = { ratio: 20, earlierRatios: [10], ...GROUPS };
  const targets = ({ stages }: SearchPolicy) => stages.flatMap((s) => s.exchange?.target ?? []);
  assert.deepEqual(targets(competition(MODEL, options)), [10, 20]);
  assert.deepEqual(targets(multiPruner(MODEL, { ...options, distribution: [1, 1, 1] })), [10, 20]);
  assert.deepEqual(targets(uniformCompetition(MODEL, options)), []);
  assert.deepEqual(targets(uniformPruner(MODEL, { ...options, distribution: [1, 1, 1] })), []);
});

/**
 * A reproducible loss that grows with what is gone, by how much depending on the block, more or
 * less for each pair of blocks that changed: what makes a greedy search go wrong.
 */
const hashed = (seed: number): LayerLoss => (layers, sequence) => {
  const changed = layers.flatMap(({ attention, mlp }, i) => [
    { name: `attention ${i}`, less: 1 - (attention?.kvHeads ?? 0) / 2 },
    { name: `mlp ${i}`, less: 1 - (mlp?.intermediateSize ?? 0) / 32 },
  ]).filter(({ less }) => less > 0);
  return changed.reduce(
    (sum, a, i) =>
      changed.slice(0, i).reduce(
        (sum, b) => sum + a.less * b.less * (hash(seed, a.name + b.name) - 0.4),
        sum + a.less * (hash(seed, a.name) + 0.02 * hash(seed, `${a.name} ${sequence}`)),
      ),
    hash(seed, `sequence ${sequence}`),
  );
};

const policies = fc.record({
  competing: fc.boolean(),
  ratio: fc.double({ min: 3, max: 45, noNaN: true }),
  later: fc.option(fc.double({ min: 0.5, max: 20, noNaN: true })),
  shares: fc.constantFrom([44, 52, 4], [1, 0, 0], [0, 1, 1], [1, 1, 1]),
}).map(({ competing, ratio, later, shares }): SearchPolicy => {
  const options = {
    ratio: later === null ? ratio : ratio + later,
    earlierRatios: later === null ? [] : [ratio],
    ...GROUPS,
  };
  const distribution = shares as [number, number, number];
  return competing ? competition(MODEL, options) : multiPruner(MODEL, { ...options, distribution });
});

/**
 * The ratio that swaps after so many steps have to leave: that of the first target that these steps
 * reached.
 */
function targetOf({ stages }: SearchPolicy, { steps, swaps }: SearchResult, count: number): number {
  const before = keptSwaps(swaps).findLast((swap) => swap.steps === count - 1)?.ratio ??
    steps[count - 2]?.ratio ?? 0;
  const targets = stages.flatMap(({ exchange }) => exchange?.target ?? []);
  return Math.min(targets.find((target) => target > before)!, steps[count - 1].ratio);
}

Deno.test("swap: over random losses the target holds, the loss falls, and a run can be told from its record", async () => {
  let kept = 0, given = 0;
  await fc.assert(
    fc.asyncProperty(fc.nat(), policies, fc.boolean(), async (seed, policy, fast) => {
      const loss = hashed(seed);
      const found = await search(loss, policy, { fast, bestEffort: true });
      const { result, way, plan } = found;
      const swaps = keptSwaps(result.swaps);
      const mean = (nll: readonly number[]) => nll.reduce((a, b) => a + b, 0);
      const plans = new Set<string>();
      for (const swap of swaps) {
        const target = targetOf(policy, result, swap.steps);
        assert.ok(swap.ratio >= target, `${swap.ratio} < ${target}`);
        assert.ok(mean(swap.after) < mean(swap.before));
        kept += 1;
        if (swap.removed === null) {
          given += 1;
        }
        plans.add(`${swap.steps} ${swap.after}`);
      }
      assert.equal(plans.size, swaps.length, "no plan comes twice");
      const phases = Map.groupBy(swaps, ({ steps }) => steps);
      for (const phase of phases.values()) assert.ok(phase.length <= MAX_SWAPS);
      const layers = layersOfShape(ARCHITECTURE, result.state.shape);
      assert.equal(result.ratio, pruningRatio(ARCHITECTURE, result.state.shape));
      const whole = await search(loss, policy, { fast, bestEffort: true, swap: false });
      if (whole.result.ratio >= policy.target) assert.ok(result.ratio >= policy.target);
      // The last phase's loss is that of what the search returns.
      const end = result.swaps.findLast(({ steps }) => steps === result.steps.length);
      if (end) {
        assert.deepEqual(end.after, Array.from({ length: 8 }, (_, s) => loss(layers, s)));
      }
      assert.deepEqual(layersOfBlocks(prunedArchitecture(ARCHITECTURE, plan)), layers);
      const last = way.swaps.at(-1)?.kept.at(-1);
      if (last && way.swaps.at(-1)!.steps === result.steps.length) {
        assert.equal(last.parameters, countParameters(ARCHITECTURE, result.state.shape).total);
      }
    }),
    { numRuns: 80, seed: SEED },
  );
  assert.ok(kept > 50 && given > 5, `${kept} swaps were kept, ${given} took nothing`);
});

for (const fast of [false, true]) {
  Deno.test(`swap: ${fast ? "fast" : "exhaustive"}, resumed after any line, decides the same`, async () => {
    let inSwaps = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        policies,
        fc.nat(1000),
        fc.boolean(),
        async (seed, policy, place, late) => {
          const options = {
            fast,
            bestEffort: true,
            // On every other seed it does not agree with what the search scores on.
            validation: (layers: readonly LayerSizes[], s: number) =>
              hashed(seed + (seed % 2))(layers, s + 8),
            heldOut: (layers: readonly LayerSizes[], s: number) => hashed(seed)(layers, s + 16),
            maxIncrease: 1000,
          };
          const whole = await search(hashed(seed), policy, options);
          const first = whole.lines.findIndex((line) => line.includes('"type":"swap'));
          const from = late ? Math.max(0, first) : 0;
          const cut = from + Math.floor(place / 1001 * (whole.lines.length + 1 - from));
          const lines = whole.lines.slice(0, cut);
          if (lines.some((line) => line.includes('"type":"swap"'))) inSwaps += 1;
          const resumed = await search(hashed(seed), policy, { ...options, lines });
          assert.equal(JSON.stringify(resumed.plan), JSON.stringify(whole.plan));
          assert.equal(JSON.stringify(resumed.way), JSON.stringify(whole.way));
          assert.equal(resumed.lines.join("\n"), whole.lines.join("\n"));
          const done = cut >= whole.lines.length;
          if (done) assert.equal(resumed.scored, 0, "a finished search scores nothing again");
        },
      ),
      { numRuns: 150, seed: SEED },
    );
    assert.ok(inSwaps > 20, `${inSwaps} were cut among swaps`);
  });
}

Deno.test("swap: a run that is taken further goes on from its swapped plan", async () => {
  const first = await search(JEALOUS, TWO_BLOCKS);
  const options = { ratio: 45, earlierRatios: [30], distribution: [1, 0, 0] as const, ...GROUPS };
  const further = await search(JEALOUS, multiPruner(MODEL, options), { lines: first.lines });
  assert.equal(further.lines.slice(0, first.lines.length).join(), first.lines.join());
  const [, , third] = further.result.steps;
  assert.ok(
    third.candidates.every(({ key }) => !["1.mlp", "2.mlp"].includes(key)),
  );
  assert.ok(third.candidates.some(({ key }) => key === "0.mlp"));
  assert.deepEqual(further.way.swaps[0], first.way.swaps[0]);
});

Deno.test("swap: lines of another search are refused", async () => {
  const { lines } = await search(JEALOUS, TWO_BLOCKS);
  const change = (of: (line: SwapLine) => unknown) =>
    lines.map((text) => {
      const line = JSON.parse(text);
      return JSON.stringify(/^swap/.test(line.type) ? of(line) : line);
    });
  const refused = (changed: readonly string[], message: RegExp) =>
    assert.rejects(search(JEALOUS, TWO_BLOCKS, { lines: changed }), (error) => {
      assert.ok(error instanceof ResumeError, String(error));
      assert.match(error.message, message);
      return true;
    });
  const foreign = /a swap after step 2 that gives back \d\.mlp channels→\d+, .*of another search/;
  await refused(
    change((line) => line.type === "swap" ? { ...line, removed: "0.mlp" } : line),
    foreign,
  );
  await refused(change((line) => line.type === "swap" ? { ...line, ratio: 50 } : line), foreign);
  await refused(
    change((line) => line.type === "swap" && line.kept ? { ...line, kept: [] } : line),
    foreign,
  );
  await refused(
    change((line) => ({ ...line, steps: 1 })),
    /swaps after step 1, where this search makes none/,
  );
});
