import { ResumeError, UnreachableTargetError } from "@lopper/core";
import assert from "node:assert/strict";
import fc from "fast-check";
import { exhaustive } from "./exhaustive.ts";
import { parseJournal } from "./journal.ts";
import { multiPruner, PRESETS } from "./multi_pruner.ts";
import type { Picker } from "./picker.ts";
import { Race } from "./race/race.ts";
import type { Step } from "./step.ts";
import { FakeScorer, type Loss } from "./testing/fake_scorer.ts";
import { hash } from "./testing/hash.ts";
import { runSearch, type SearchRun } from "./testing/run_search.ts";
import { tinySpec } from "./testing/tiny_spec.ts";

const SPEC = tinySpec(4);

const fast = () => new Race({ racing: true, lazy: true, proxies: true, threshold: true });

async function search(
  loss: Loss,
  options: {
    ratio?: number;
    earlierRatios?: readonly number[];
    distribution?: readonly [number, number, number];
    lines?: readonly string[];
    bestEffort?: boolean;
    picker?: Picker;
    keptBatches?: number;
  } = {},
): Promise<SearchRun & { readonly scored: number }> {
  const scorer = new FakeScorer(loss, {
    batches: [[0, 3], [1], [2, 5], [4]],
    keptBatches: options.keptBatches ?? 4,
    perturbation: (candidate) => Math.abs(loss(candidate.layers, 0, candidate)),
  });
  const policy = multiPruner(SPEC, {
    ratio: options.ratio ?? 40,
    earlierRatios: options.earlierRatios,
    distribution: options.distribution ?? PRESETS.multipruner,
    mlpGroup: 8,
    attentionGroup: 8,
  });
  const { picker = exhaustive, bestEffort, lines } = options;
  const run = await runSearch(SPEC, policy, scorer, { picker, bestEffort }, lines);
  return { ...run, scored: scorer.scored };
}

/** A reproducible score of a set of layers, a little different for each sequence. */
const hashed = (seed: number): Loss => (kept, sequence) => {
  const layers = JSON.stringify(kept);
  return hash(seed, layers) + 0.1 * hash(seed, `${layers} ${sequence}`);
};

Deno.test("greedy: the lowest perplexity is taken, the first on equal values", async () => {
  const flat = await search(() => 5);
  assert.deepEqual(flat.result.steps[0].taken, { kind: "attention", layer: 0, width: 0 });
  const chosen = await search((_layers, _s, c) => c?.layer === 2 && c.kind === "mlp" ? 1 : 5);
  assert.deepEqual(chosen.result.steps[0].taken, { kind: "mlp", layer: 2, width: 0 });
});

Deno.test("greedy: candidates come as published, attention before MLP, in layer order", async () => {
  const { result } = await search(() => 5);
  assert.deepEqual(
    result.steps[0].candidates.map(({ kind, layer }) => `${kind} ${layer}`),
    ["attention", "mlp"].flatMap((kind) => [0, 1, 2, 3].map((layer) => `${kind} ${layer}`)),
  );
});

Deno.test("greedy: NaN never wins, and only NaN is an error", async () => {
  for (const picker of [exhaustive, fast()]) {
    // The first candidate of each step is unusable on one sequence, and would be the best without it.
    const { result } = await search(
      (_layers, s, c) => c?.layer === 0 && c.kind === "attention" ? s === 4 ? NaN : 1 : 5,
      { picker },
    );
    assert.ok(result.steps.every(({ ppl }) => Number.isFinite(ppl)));
    assert.ok(result.steps.every(({ taken }) => taken.kind !== "attention" || taken.layer !== 0));
    await assert.rejects(search(() => NaN, { picker }), /no candidate has a finite perplexity/);
  }
});

Deno.test("greedy: stages end at their share, and the ratio reaches the target", async () => {
  const { result } = await search(hashed(1));
  const lastOf = (stage: string) => result.steps.findLast((s) => s.stage === stage)!.ratio;
  assert.ok(lastOf("blocks") >= 40 * 0.44);
  assert.ok(lastOf("mlp_channels") >= 40 * 0.96);
  assert.ok(result.ratio >= 40);
  for (const stage of ["blocks", "mlp_channels", "attention_heads"]) {
    const steps = result.steps.filter((s) => s.stage === stage);
    // each step but the last of a stage is below its bound
    const bound = { blocks: 17.6, mlp_channels: 38.4, attention_heads: 40 }[stage]!;
    for (const { ratio } of steps.slice(0, -1)) assert.ok(ratio < bound, `${stage} ${ratio}`);
  }
});

Deno.test("greedy: a stage without candidates warns and the next goes on", async () => {
  const { result, events } = await search(hashed(2), {
    ratio: 80,
    distribution: [0, 99, 1],
    bestEffort: true,
  });
  const warnings = events.filter((event) => event.type === "warning");
  assert.match(warnings[0].message, /mlp_channels has no candidates left/);
  assert.equal(result.steps.at(-1)?.stage, "attention_heads");
  // one group always stays
  assert.ok(result.layers.every(({ mlp }) => mlp?.intermediateSize === 8));
  assert.ok(result.layers.every(({ attention }) => attention?.kvHeads === 1));
});

Deno.test("greedy: below the target it is an error, unless best effort is enough", async () => {
  await assert.rejects(
    search(hashed(2), { ratio: 80, distribution: [0, 99, 1] }),
    (error) => error instanceof UnreachableTargetError && error.reachable < 80,
  );
});

for (const [what, picker] of [["exhaustive", () => exhaustive], ["fast", fast]] as const) {
  Deno.test(`greedy: ${what}, resumed after any line, decides the same and scores only the rest`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 4 }),
        async (seed, share, keptBatches) => {
          const whole = await search(hashed(seed), { picker: picker(), keptBatches });
          const lines = whole.lines.slice(0, Math.floor(share * (whole.lines.length + 1)));
          const resumed = await search(hashed(seed), { picker: picker(), lines, keptBatches });
          assert.deepEqual(resumed.result, whole.result);
          assert.deepEqual(resumed.lines, whole.lines);
          const saved = parseJournal(lines, "j").evidence
            .reduce((sum, e) => sum + (e.type === "score" ? e.sequences.length : 0), 0);
          assert.equal(resumed.scored, whole.scored - saved);
        },
      ),
      { numRuns: 60, seed: Number(Deno.env.get("LOPPER_SEED") ?? 11) },
    );
  });

  Deno.test(`greedy: ${what}, a finished search is extended without scoring it again`, async () => {
    for (let seed = 0; seed < 20; seed++) {
      const first = await search(hashed(seed), { ratio: 25, picker: picker() });
      const options = { ratio: 45, earlierRatios: [25], picker: picker() };
      const extended = await search(hashed(seed), { ...options, lines: first.lines });
      const { steps } = extended.result;
      assert.deepEqual(steps.slice(0, first.result.steps.length), first.result.steps);
      assert.ok(extended.result.ratio >= 45);
      const atOnce = await search(hashed(seed), { ...options, picker: picker() });
      assert.deepEqual(extended.result, atOnce.result);
      assert.equal(extended.scored, atOnce.scored - first.scored);
      // The new part has its blocks, channels and heads, too.
      assert.equal(steps[first.result.steps.length].stage, "blocks");
    }
  });

  Deno.test(`greedy: ${what}, every taken candidate is scored on everything`, async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { steps } = (await search(hashed(seed), { picker: picker() })).result;
      for (const { taken, ppl, candidates } of steps) {
        const found = candidates.find((c) =>
          c.kind === taken.kind && c.layer === taken.layer && c.width === taken.width
        );
        assert.deepEqual([found?.sequences, found?.ppl], [6, ppl]);
      }
    }
  });
}

Deno.test("greedy: a history of another search is refused", async () => {
  const { lines, result } = await search(hashed(3));
  const change = (of: (step: Step) => Step) =>
    lines.map((line) => {
      const entry = JSON.parse(line);
      return JSON.stringify(entry.type === "step" ? of(entry) : entry);
    });
  const foreign = change((step) => ({ ...step, taken: { kind: "mlp", layer: 9, width: 0 } }));
  await assert.rejects(search(hashed(3), { lines: foreign }), ResumeError);
  const later = change((step) => ({ ...step, step: step.step + 1 }));
  await assert.rejects(search(hashed(3), { lines: later }), ResumeError);
  assert.ok(result.steps.length > 3);
  await assert.rejects(search(hashed(3), { lines, ratio: 5 }), ResumeError);
});

Deno.test("greedy: what a step left is not scored again, but where a stage scores on other samples", async () => {
  const distribution = [40, 30, 30] as const;
  const { result, lines } = await search(hashed(1), { picker: fast(), distribution });
  const trunks = parseJournal(lines, "j").evidence
    .flatMap((e) => e.type === "score" && e.of === "trunk" ? [e.step] : []);
  const firstOf = (stage: string) => result.steps.findIndex((step) => step.stage === stage);
  assert.ok(firstOf("attention_heads") > firstOf("mlp_channels"));
  assert.deepEqual([...new Set(trunks)], [firstOf("blocks"), firstOf("mlp_channels")]);
});
