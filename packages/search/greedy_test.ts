import { type LayerSpec, type ModelSpec, ResumeError, UnreachableTargetError } from "@lopper/core";
import type { Scorable, Score, ScoreProgress, Scorer } from "@lopper/importance";
import assert from "node:assert/strict";
import fc from "fast-check";
import { greedySearch, type SearchEvent, type SearchResult, type Step } from "./greedy.ts";
import { parseJournal, stepToLine } from "./journal.ts";
import { multiPruner, PRESETS } from "./policy.ts";

const SPEC: ModelSpec = {
  family: "llama",
  hiddenSize: 8,
  headDim: 4,
  vocabSize: 11,
  maxPositions: 64,
  rmsNormEps: 1e-5,
  tiedEmbeddings: true,
  biases: { qkv: false, output: false, mlp: false },
  qkNorm: false,
  rope: { theta: 10_000, scaling: null },
  slidingWindow: null,
  eosTokenIds: [],
  layers: Array.from({ length: 4 }, () => ({
    attention: { queryHeads: 4, kvHeads: 2 },
    mlp: { intermediateSize: 32 },
  })),
};

/** Scores by a function of what would remain; counts how many candidates it was asked for. */
class FakeScorer implements Scorer {
  readonly tokens = 10;
  readonly fullBlockTokens = 0;
  scored = 0;
  readonly #score: (candidate: Scorable, n: number) => number;

  constructor(score: (candidate: Scorable, n: number) => number) {
    this.#score = score;
  }

  release() {}

  evaluate(): Promise<Score> {
    throw new Error("not needed");
  }

  async *scoreStep(
    _trunk: readonly LayerSpec[],
    candidates: readonly Scorable[],
  ): AsyncGenerator<ScoreProgress, readonly Score[]> {
    yield await Promise.resolve({ done: 1, total: candidates.length });
    return candidates.map((candidate) => ({
      perplexity: this.#score(candidate, this.scored++),
      sequenceNll: [],
    }));
  }
}

interface Outcome {
  readonly result: SearchResult;
  readonly events: readonly SearchEvent[];
  readonly scored: number;
}

async function search(
  score: (candidate: Scorable, n: number) => number,
  options: {
    ratio?: number;
    distribution?: readonly [number, number, number];
    history?: readonly Step[];
    bestEffort?: boolean;
  } = {},
): Promise<Outcome> {
  const scorer = new FakeScorer(score);
  const policy = multiPruner(SPEC, {
    ratio: options.ratio ?? 40,
    distribution: options.distribution ?? PRESETS.multipruner,
    mlpGroup: 8,
    attentionGroup: 8,
  });
  const steps = greedySearch(SPEC, policy, {
    scorers: { block: scorer, width: scorer },
    blockTokens: () => 0,
    now: () => 0,
    ...options,
  });
  const events: SearchEvent[] = [];
  let event = await steps.next();
  while (!event.done) {
    events.push(event.value);
    event = await steps.next();
  }
  return { result: event.value, events, scored: scorer.scored };
}

/** A reproducible score of a set of layers. */
const hashed = (seed: number) => ({ layers }: Scorable) => {
  let hash = seed;
  for (const char of JSON.stringify(layers)) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619);
  return (hash >>> 0) / 2 ** 32;
};

Deno.test("greedy: the lowest perplexity is taken, the first on equal values", async () => {
  const flat = await search(() => 5);
  assert.deepEqual(flat.result.steps[0].taken, { kind: "attention", layer: 0, width: 0 });
  const chosen = await search(({ layer, kind }) => layer === 2 && kind === "mlp" ? 1 : 5);
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
  const { result } = await search((_, n) => n === 0 ? NaN : 5 - n / 1000);
  assert.ok(result.steps.every(({ ppl }) => Number.isFinite(ppl)));
  await assert.rejects(search(() => NaN), /no candidate has a finite perplexity/);
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

Deno.test("greedy: resuming after any number of steps decides the same and scores only the rest", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), async (seed, share) => {
      const whole = await search(hashed(seed));
      const { steps } = whole.result;
      const kept = steps.slice(0, Math.floor(share * (steps.length + 1)));
      const lines = kept.map(stepToLine);
      const resumed = await search(hashed(seed), { history: parseJournal(lines, "journal") });
      assert.deepEqual(resumed.result, whole.result);
      const saved = kept.reduce((sum, { candidates }) => sum + candidates.length, 0);
      assert.equal(resumed.scored, whole.scored - saved);
    }),
    { numRuns: 100, seed: Number(Deno.env.get("LOPPER_SEED") ?? 11) },
  );
});

Deno.test("greedy: a history of another search is refused", async () => {
  const { steps } = (await search(hashed(3))).result;
  const foreign = [{ ...steps[0], taken: { kind: "mlp" as const, layer: 9, width: 0 } }];
  await assert.rejects(search(hashed(3), { history: foreign }), ResumeError);
  await assert.rejects(search(hashed(3), { history: steps.slice(1) }), ResumeError);
  await assert.rejects(search(hashed(3), { history: steps, ratio: 5 }), ResumeError);
});

Deno.test("journal: perplexities come back to the last bit, and what is not finite as NaN", () => {
  const step: Step = {
    step: 0,
    stage: "blocks",
    taken: { kind: "mlp", layer: 1, width: 0 },
    ppl: 0.1 + 0.2,
    ratio: 100 / 3,
    candidates: [
      { kind: "mlp", layer: 1, width: 0, ppl: 0.1 + 0.2 },
      { kind: "attention", layer: 0, width: 0, ppl: NaN },
    ],
    blockTokens: { spent: 1.5, full: 2 },
    seconds: 0.25,
  };
  assert.deepEqual(parseJournal([stepToLine(step)], "j"), [step]);
});

Deno.test("journal: a line that is no step is named", () => {
  assert.throws(() => parseJournal(["{"], "j"), /j, line 1: not JSON/);
  assert.throws(() => parseJournal(['{"step": -1}'], "j"), /j, line 1: at /);
});
