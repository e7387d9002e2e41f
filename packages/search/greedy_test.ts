import { ResumeError, UnreachableTargetError } from "@lopper/core";
import assert from "node:assert/strict";
import fc from "fast-check";
import { exhaustive } from "./exhaustive.ts";
import { parseJournal } from "./journal.ts";
import { multiPruner, PRESETS } from "./multi_pruner.ts";
import type { SearchPolicy } from "./policy.ts";
import type { Picker } from "./picker.ts";
import { Race } from "./race/race.ts";
import { searchModelOf } from "./search_model.ts";
import { byLayers, FakeScorer, type Loss } from "./testing/fake_scorer.ts";
import { hash } from "./testing/hash.ts";
import { runSearch, type SearchRun } from "./testing/run_search.ts";
import { architectureOf, tinyArchitecture } from "./testing/tiny_architecture.ts";
import type { Step } from "./journal_lines.ts";

const ARCHITECTURE = tinyArchitecture(4);
const MODEL = searchModelOf(ARCHITECTURE);

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
    perturbation: (candidate) => Math.abs(loss(candidate.shape, 0, candidate)),
  });
  const policy = multiPruner(MODEL, {
    ratio: options.ratio ?? 40,
    earlierRatios: options.earlierRatios,
    distribution: options.distribution ?? PRESETS.multipruner,
    groups: { channels: 8, kvGroups: 8 },
  });
  const { picker = exhaustive, bestEffort, lines } = options;
  const run = await runSearch(MODEL, policy, scorer, { picker, bestEffort }, lines);
  return { ...run, scored: scorer.scored };
}

/** A reproducible score of a set of layers, a little different for each sequence. */
const hashed = (seed: number): Loss =>
  byLayers(ARCHITECTURE, (kept, sequence) => {
    const layers = JSON.stringify(kept);
    return hash(seed, layers) + 0.1 * hash(seed, `${layers} ${sequence}`);
  });

/** A loss of what is scored, by the block from which on that runs. */
const byFirst = (loss: (first: number | undefined, sequence: number) => number): Loss =>
(
  _shape,
  sequence,
  candidate,
) => loss(candidate?.first, sequence);

Deno.test("greedy: the lowest perplexity is taken, the first on equal values", async () => {
  const flat = await search(() => 5);
  assert.equal(flat.result.steps[0].taken.key, "0.attention");
  const chosen = await search(byFirst((first) => first === 5 ? 1 : 5));
  assert.equal(chosen.result.steps[0].taken.key, "2.mlp");
});

Deno.test("greedy: candidates come as published, attention before MLP, in layer order", async () => {
  const { result } = await search(() => 5);
  assert.deepEqual(
    result.steps[0].candidates.map(({ key }) => key),
    ["attention", "mlp"].flatMap((kind) => [0, 1, 2, 3].map((layer) => `${layer}.${kind}`)),
  );
});

Deno.test("greedy: NaN never wins, and only NaN is an error", async () => {
  for (const picker of [exhaustive, fast()]) {
    // The first candidate of each step is unusable on one sequence, and would be the best without
    // it.
    const { result } = await search(
      byFirst((first, s) => first === 0 ? s === 4 ? NaN : 1 : 5),
      { picker },
    );
    assert.ok(result.steps.every(({ ppl }) => Number.isFinite(ppl)));
    assert.ok(result.steps.every(({ taken }) => !taken.key.startsWith("0.attention")));
    await assert.rejects(search(() => NaN, { picker }), /no candidate has a finite perplexity/);
  }
});

Deno.test("greedy: stages end at their share, and the ratio reaches the target", async () => {
  const { result } = await search(hashed(1));
  const lastOf = (stage: string) => result.steps.findLast((s) => s.stage === stage)!.ratio;
  assert.ok(lastOf("blocks") >= 40 * 0.44);
  assert.ok(lastOf("channels") >= 40 * 0.96);
  assert.ok(result.ratio >= 40);
  for (const stage of ["blocks", "channels", "kvGroups"]) {
    const steps = result.steps.filter((s) => s.stage === stage);
    // each step but the last of a stage is below its bound
    const bound = { blocks: 17.6, channels: 38.4, kvGroups: 40 }[stage]!;
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
  assert.deepEqual(warnings.map(({ message }) => message.replace(/\d+\.\d+/g, "N")), [
    "no more MLP channels can go at N %, and their share ends at N %; heads go on",
    "no more heads can go at N %, and their share ends at N %",
  ]);
  assert.equal(result.steps.at(-1)?.stage, "kvGroups");
  // one group always stays
  const left = result.state.shape.map((size) => size?.channels ?? size?.kvGroups);
  assert.deepEqual(left, [1, 8, 1, 8, 1, 8, 1, 8]);
});

Deno.test("greedy: where no head can go, channels take what was to be of heads, after the published steps", async () => {
  const oneHead = { attention: { queryHeads: 4, kvHeads: 1 }, mlp: { intermediateSize: 64 } };
  const architecture = architectureOf(Array.from({ length: 4 }, () => oneHead));
  const model = searchModelOf(architecture);
  const options = { ratio: 40, distribution: [0, 90, 10], groups: { channels: 8, kvGroups: 16 } };
  const policy = multiPruner(model, options);
  const run = (stages: SearchPolicy["stages"], bestEffort: boolean) => {
    const loss = byLayers(architecture, (kept) => hash(3, JSON.stringify(kept)));
    const scorer = new FakeScorer(loss, { batches: [[0], [1]], keptBatches: 2 });
    return runSearch(model, { ...policy, stages }, scorer, { picker: exhaustive, bestEffort });
  };
  const published = await run(policy.stages.filter(({ takesOver }) => !takesOver), true);
  assert.ok(published.result.ratio < 40);
  const { result, events } = await run(policy.stages, false);
  assert.ok(result.ratio >= 40);
  assert.deepEqual(result.steps.slice(0, published.result.steps.length), published.result.steps);
  assert.ok(result.steps.every(({ stage }) => stage === "channels"));
  const warnings = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /^no more heads can go at .*40\.00 %; MLP channels go on$/);
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
        const found = candidates.find(({ key }) => key === taken.key);
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
  const [{ taken }, other] = result.steps;
  const foreign = change((step) => ({ ...step, taken: step.step === 0 ? other.taken : taken }));
  await assert.rejects(search(hashed(3), { lines: foreign }), ResumeError);
  const narrowed = result.steps.findIndex(({ stage }) => stage === "channels");
  const otherUnits = change((step) => {
    if (step.step !== narrowed) return step;
    const [{ removed, ...change }] = step.taken.changes;
    const changes = [{ ...change, removed: removed.map((unit) => unit - 1) }];
    return { ...step, taken: { ...step.taken, changes } };
  });
  await assert.rejects(search(hashed(3), { lines: otherUnits }), /and for other units/);
  const later = change((step) => ({ ...step, step: step.step + 1 }));
  await assert.rejects(search(hashed(3), { lines: later }), ResumeError);
  assert.ok(result.steps.length > 3);
  await assert.rejects(search(hashed(3), { lines, ratio: 5 }), ResumeError);
});

Deno.test("greedy: what a step left is not scored again, but where a stage scores on other samples", async () => {
  const distribution = [40, 30, 30] as const;
  const { result, lines } = await search(hashed(1), { picker: fast(), distribution });
  const baseScores = parseJournal(lines, "j").evidence
    .flatMap((e) => e.type === "score" && e.of === "base" ? [e.step] : []);
  const firstOf = (stage: string) => result.steps.findIndex((step) => step.stage === stage);
  assert.ok(firstOf("kvGroups") > firstOf("channels"));
  assert.deepEqual([...new Set(baseScores)], [firstOf("blocks"), firstOf("channels")]);
});
