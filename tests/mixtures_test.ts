import type { Backend } from "@lopper/backends";
import { openReferenceBackend } from "@lopper/backends/reference";
import { openTinyEngine } from "@lopper/backends/testing";
import { type Block, inTurns, sourceRanking } from "@lopper/core";
import { fromFloat32, toFloat32 } from "@lopper/formats";
import assert from "node:assert/strict";
import { linear, maxAbsDifference, rmsNorm } from "../packages/backends/testing/reference.ts";
import { TOLERANCE, values } from "../packages/backends/testing/values.ts";
import { energy, PUBLISHED_RANKING, rankByActivations, rankByWeights } from "@lopper/importance";
import { Decoder, LaidOutWeights, type LoadOptions } from "@lopper/runtime";
import { EXPERTS, HIDDEN, INNER, MIXTURE, modelOf, SHARED } from "./support/mixture.ts";

const TOKENS = 9;
const INPUT = values(TOKENS * HIDDEN, 3);
const ORDER = [4, 0, 6, 2, 5, 1, 3];

function valuesOf(name: string): Float32Array {
  const seed = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 53;
  const count = EXPERTS * HIDDEN * INNER;
  const scale = name.endsWith("router") ? 4 : name.includes("norm") ? 1 : 2;
  return values(count, seed, name.includes("norm") ? 1 : 0).map((value) => scale * value);
}

const silu = (x: number) => x / (1 + Math.exp(-x));

interface Expected {
  readonly out: Float64Array;
  readonly tokens: Float64Array;
  readonly squares: Float64Array;
  readonly weighted: Float64Array;
  /** Squares of channels over the tokens that went to their expert. */
  readonly energy: Float64Array;
}

/** The places that a token goes to, and what counts of each. */
function routedTo(
  { routing, weights, dimensions: [{ units, groups = 1 }] }: Block,
  kept: readonly number[],
  scores: readonly number[],
  weight: (name: string) => Float64Array,
) {
  const { topK, softmaxOver, renormalised, factor = 1, topGroups = groups } = routing!;
  const places = [...kept.keys()];
  const total = scores.reduce((sum, score) => sum + Math.exp(score), 0);
  const became = scores.map((score) =>
    softmaxOver === null
      ? 1 / (1 + Math.exp(-score))
      : softmaxOver === "all"
      ? Math.exp(score) / total
      : score
  );
  const corrected = weights.some(({ name }) => name === "correction");
  const worth = became.map((one, i) => one + (corrected ? weight("correction")[kept[i]] : 0));
  const best = (of: readonly number[]) => of.toSorted((a, b) => worth[b] - worth[a]);
  const groupOf = (place: number) => Math.floor(kept[place] / (units / groups));
  const twoBest = Array.from(
    { length: groups },
    (_, group) =>
      best(places.filter((place) => groupOf(place) === group)).slice(0, 2)
        .reduce((sum, place) => sum + worth[place], 0),
  );
  const kinds = [...twoBest.keys()].sort((a, b) => twoBest[b] - twoBest[a]).slice(0, topGroups);
  const able = places.filter((place) => kinds.includes(groupOf(place)));
  const chosen = best(able).slice(0, topK);
  const among = chosen.map((place) =>
    softmaxOver === "chosen" ? Math.exp(scores[place]) : became[place]
  );
  const sum = among.reduce((a, b) => a + b, 0);
  const divided = softmaxOver === "chosen" || renormalised;
  return { chosen, gains: among.map((one) => factor * (divided ? one / sum : one)) };
}

/** All of it in float64, token by token. @param kept experts of the checkpoint, as they lie. */
function expected(
  block: Block,
  kept: readonly number[],
  read: (name: string) => ArrayLike<number>,
): Expected {
  const weight = (name: string) => Float64Array.from(read(`${block.id}.${name}`));
  const has = (name: string) => block.weights.some((weight) => weight.name === name);
  const part = (name: string, expert: number, size: number) =>
    weight(name).subarray(expert * size, (expert + 1) * size);
  const normed = (x: Float64Array, name: string) =>
    rmsNorm(x, weight(name).subarray(0, HIDDEN), 1e-5);
  const { gating, placement = "pre", multiplier = 1 } = block;
  const sums = [0, 1, 2].map(() => new Float64Array(kept.length));
  const squares = new Float64Array(EXPERTS * INNER);
  const out = new Float64Array(TOKENS * HIDDEN);
  for (let t = 0; t < TOKENS; t++) {
    const h = Float64Array.from(INPUT.subarray(t * HIDDEN, (t + 1) * HIDDEN));
    const x = placement === "post" ? h : normed(h, "norm");
    const scores = kept.map((expert) =>
      linear(x, part("router", expert, HIDDEN), HIDDEN)[0] +
      (has("router_bias") ? weight("router_bias")[expert] : 0)
    );
    const { chosen, gains } = routedTo(block, kept, scores, weight);
    const whole = gains.reduce((a, b) => a + b, 0);
    const added = new Float64Array(HIDDEN);
    chosen.forEach((place, i) => {
      const expert = kept[place];
      const project = (name: string, rows: number, from: Float64Array) =>
        linear(
          from,
          part(name, expert, rows * from.length),
          from.length,
          has(`${name}_bias`) ? part(`${name}_bias`, expert, rows) : undefined,
        );
      const [gate, up] = [project("gate", INNER, x), project("up", INNER, x)];
      const inner = gate.map((g, j) => {
        if (!gating) return silu(g) * up[j];
        const [low, high] = [Math.min(g, gating.limit), gating.limit];
        const clipped = Math.max(-high, Math.min(high, up[j]));
        return low / (1 + Math.exp(-gating.alpha * low)) * (clipped + 1);
      });
      inner.forEach((value, j) => squares[expert * INNER + j] += value * value);
      const f = project("down", HIDDEN, inner);
      const norm = Math.sqrt(f.reduce((sum, value) => sum + value * value, 0));
      sums[0][place] += 1;
      sums[1][place] += norm * norm;
      sums[2][place] += gains[i] / whole * norm;
      f.forEach((value, j) => added[j] += gains[i] * value);
    });
    if (has("shared_up")) {
      const [gate, up] = ["shared_gate", "shared_up"].map((name) =>
        linear(x, weight(name).subarray(0, SHARED * HIDDEN), HIDDEN)
      );
      const inner = gate.map((g, j) => silu(g) * up[j]);
      const f = linear(inner, weight("shared_down").subarray(0, SHARED * HIDDEN), SHARED);
      const [score] = has("shared_router")
        ? linear(x, weight("shared_router").subarray(0, HIDDEN), HIDDEN)
        : [Infinity];
      f.forEach((value, j) => added[j] += value / (1 + Math.exp(-score)));
    }
    const behind = placement === "pre"
      ? added
      : normed(added, placement === "post" ? "norm" : "post_norm");
    h.forEach((value, j) => out[t * HIDDEN + j] = value + multiplier * behind[j]);
  }
  return { out, tokens: sums[0], squares: sums[1], weighted: sums[2], energy: squares };
}

const without = (...names: readonly string[]) =>
  MIXTURE.weights.filter(({ name }) => !names.some((part) => name.includes(part)));
const CORRECTED = {
  name: "correction",
  axes: [{ dimension: "experts", width: 1 }],
} as const;
const POST_NORM = { name: "post_norm", axes: [HIDDEN], norm: true } as const;

/** Mixtures of the kinds that there are, by what is theirs. */
const MIXTURES: Readonly<Record<string, Block>> = {
  "weights of a softmax over all, biases, a shared expert": MIXTURE,
  "divided by their sum": {
    ...MIXTURE,
    routing: { topK: 3, softmaxOver: "all", renormalised: true },
    weights: without("bias", "shared"),
  },
  "a softmax over those chosen, a limited gate": {
    ...MIXTURE,
    routing: { topK: 2, softmaxOver: "chosen" },
    gating: { alpha: 1.702, limit: 0.5 },
    weights: without("shared"),
  },
  "norm behind the block, a multiplier": {
    ...MIXTURE,
    placement: "post",
    multiplier: 0.3,
    weights: without("bias"),
  },
  "sigmoids, corrected for the choice, times a factor, a shared expert without a gate": {
    ...MIXTURE,
    routing: { topK: 3, softmaxOver: null, factor: 1.7 },
    weights: [...without("bias", "shared_router"), CORRECTED],
  },
  "a corrected softmax, divided by the sum": {
    ...MIXTURE,
    routing: { topK: 2, softmaxOver: "all", renormalised: true, minSum: 1e-12 },
    weights: [...without("bias", "shared"), CORRECTED],
  },
  "sigmoids within the best of groups, corrected, divided by their sum": {
    ...MIXTURE,
    dimensions: [{ name: "experts", units: 6, groups: 3 }],
    routing: {
      ...{ topK: 3, softmaxOver: null, renormalised: true, minSum: 1e-20 },
      ...{ topGroups: 2, factor: 2.5 },
    },
    weights: [...without("bias", "shared"), CORRECTED],
  },
  "a softmax within the better of groups": {
    ...MIXTURE,
    dimensions: [{ name: "experts", units: 6, groups: 2 }],
    routing: { topK: 2, softmaxOver: "all", topGroups: 1 },
    weights: without("bias", "shared"),
  },
  "norms before and behind it": {
    ...MIXTURE,
    placement: "both",
    weights: [...without("bias", "shared"), POST_NORM],
  },
};

const BACKENDS: Readonly<Record<string, () => Promise<Backend>>> = {
  cpu: () => openTinyEngine("cpu"),
  wasm: () => openTinyEngine("wasm"),
  reference: openReferenceBackend,
};

for (const [name, open] of Object.entries(BACKENDS)) {
  Deno.test({
    name: `mixtures: output and sums of experts are those of loops in float64 on ${name}`,
    // The engines keep threads for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using backend = await open();
      for (const [what, block] of Object.entries(MIXTURES)) {
        for (const dtype of ["F32", "BF16"] as const) {
          const { model } = modelOf([block], valuesOf, dtype);
          const read = (name: string) => toFloat32(dtype, fromFloat32(dtype, valuesOf(name)));
          const ways: readonly LoadOptions[] = [
            {},
            { expandedBytes: 0 },
            { expandedBytes: 0, expertBytes: 0 },
          ];
          for (const options of ways) {
            const [{ units: all, groups = 1 }] = block.dimensions;
            const order = inTurns(ORDER.filter((unit) => unit < all), block.dimensions[0]);
            const ranking = [{ experts: order }];
            const weights = await LaidOutWeights.load(model, { ...options, ranking });
            await using decoder = new Decoder(backend, weights);
            const fewer = groups === 1 ? [all, 4, 2] : [all, 2 * groups];
            for (const units of fewer) {
              const input = { batch: 3, length: 3, data: INPUT };
              const found = await decoder.captureExperts(0, [{ experts: units }], input);
              const wanted = expected(block, order.slice(0, units), read);
              const off = Math.max(
                maxAbsDifference(found.hidden.data, wanted.out),
                maxAbsDifference(found.experts.tokens, wanted.tokens),
                maxAbsDifference(found.experts.squares, wanted.squares),
                maxAbsDifference(found.experts.weighted, wanted.weighted),
              );
              const where = `${what}, ${dtype}, ${JSON.stringify(options)}, ${units} experts`;
              assert.ok(off < 40 * TOLERANCE, `${where}: off by ${off}`);
            }
          }
        }
      }
    },
  });
}

Deno.test({
  name: "mixtures: of experts that stay in the file only those are read that tokens go to",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using backend = await BACKENDS.reference();
    const { model, reads } = modelOf([MIXTURE], valuesOf, "BF16");
    const weights = await LaidOutWeights.load(model, { expandedBytes: 0, expertBytes: 0 });
    await using decoder = new Decoder(backend, weights);
    reads.length = 0;
    const input = { batch: 1, length: 1, data: INPUT.subarray(0, HIDDEN) };
    const { experts } = await decoder.captureExperts(0, [{ experts: EXPERTS }], input);
    const gone = [...experts.tokens.keys()].filter((place) => experts.tokens[place] > 0);
    assert.equal(gone.length, 3);
    const read = reads.filter(({ name }) => name === "0.experts.gate");
    assert.deepEqual(read.map(({ offset }) => offset / (INNER * HIDDEN)), gone);
    assert.equal(weights.bytes < 2 * EXPERTS * INNER * HIDDEN * 3, true, `${weights.bytes} held`);
  },
});

Deno.test({
  name: "mixtures: what experts are multiplied with is rounded as the checkpoint holds it",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using backend = await BACKENDS.reference();
    const scales = Float32Array.of(0.7, 1, 1.3, -0.2);
    for (const dtype of ["F32", "BF16"] as const) {
      const { model } = modelOf([MIXTURE], valuesOf, dtype);
      const rounded = (values: Float32Array) => toFloat32(dtype, fromFloat32(dtype, values));
      const read = (name: string) => {
        const values = rounded(valuesOf(name));
        const part = /\.down(_bias)?$/.exec(name);
        if (!part) return values;
        const size = part[1] ? HIDDEN : HIDDEN * INNER;
        const scaleOf = (i: number) => scales[ORDER.indexOf(Math.floor(i / size))] ?? 1;
        return rounded(values.map((value, i) => scaleOf(i) * value));
      };
      for (const options of [{}, { expandedBytes: 0 }, { expandedBytes: 0, expertBytes: 0 }]) {
        const weights = await LaidOutWeights.load(model, {
          ...options,
          ranking: [{ experts: ORDER }],
        });
        await using decoder = new Decoder(backend, weights);
        const size = { experts: scales.length };
        const before = weights.replaceExpertScales(0, size, scales);
        assert.deepEqual([...before], [1, 1, 1, 1]);
        assert.deepEqual(weights.expertScales(0, size), scales);
        const input = { batch: 1, length: TOKENS, data: INPUT };
        const { data } = await decoder.runBlock(0, [size], input);
        const wanted = expected(MIXTURE, ORDER.slice(0, 4), read);
        const off = maxAbsDifference(data, wanted.out);
        assert.ok(off < 40 * TOLERANCE, `${dtype}, ${JSON.stringify(options)}: off by ${off}`);
      }
    }
  },
});

Deno.test({
  name: "mixtures: another ranking moves experts with their rows of the router",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using backend = await BACKENDS.reference();
    const { model } = modelOf([MIXTURE], valuesOf, "F32");
    const weights = await LaidOutWeights.load(model);
    await using decoder = new Decoder(backend, weights);
    weights.rearrange([{ experts: ORDER }]);
    const input = { batch: 1, length: TOKENS, data: INPUT };
    const { data } = await decoder.runBlock(0, [{ experts: 4 }], input);
    const wanted = expected(MIXTURE, ORDER.slice(0, 4), valuesOf);
    assert.ok(maxAbsDifference(data, wanted.out) < 40 * TOLERANCE);
    weights.rearrange(sourceRanking(model.architecture.blocks));
    const dense = await decoder.runBlock(0, [{ experts: EXPERTS }], input);
    const all = expected(MIXTURE, sourceRanking([MIXTURE])[0]!.experts, valuesOf);
    assert.ok(maxAbsDifference(dense.data, all.out) < 40 * TOLERANCE);
  },
});

const CHANNELS = { dimension: "channels", width: 1 };
/** The same, whose experts may lose channels, and so may what all tokens go through. */
const CHANNELLED: Block = {
  ...MIXTURE,
  dimensions: [
    { name: "experts", units: EXPERTS },
    { name: "channels", units: INNER, owners: EXPERTS },
  ],
  weights: MIXTURE.weights.map((weight) => ({
    ...weight,
    axes: weight.axes.map((axis) => axis === INNER ? CHANNELS : axis),
  })),
};

Deno.test({
  name: "mixtures: each expert ranks its own channels by the tokens that go to it",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    for (const open of [BACKENDS.cpu, BACKENDS.wasm, BACKENDS.reference]) {
      await using backend = await open();
      const { model } = modelOf([CHANNELLED], valuesOf, "F32");
      const weights = await LaidOutWeights.load(model);
      await using decoder = new Decoder(backend, weights);
      const input = { batch: 1, length: TOKENS, data: INPUT };
      const shape = [{ experts: EXPERTS, channels: INNER }];
      const capture = { capture: "energy" } as const;
      const { experts } = await decoder.captureExperts(0, shape, input, capture);
      const { energy: wanted } = expected(MIXTURE, [...Array(EXPERTS).keys()], valuesOf);
      assert.ok(maxAbsDifference(experts.energy!, wanted) < 40 * TOLERANCE);
      const seen = { energy: new Map(), experts: new Map([[0, experts]]) };
      const [ranked] = await rankByActivations(decoder, shape, "channels", energy, seen);
      const down = valuesOf("0.experts.down");
      for (let e = 0; e < EXPERTS; e++) {
        const own = ranked!.filter((unit) => Math.floor(unit / INNER) === e);
        const worth = own.map((unit) => {
          const columns = Array.from(
            { length: HIDDEN },
            (_, row) => down[(e * HIDDEN + row) * INNER + unit % INNER],
          );
          return wanted[unit] * columns.reduce((sum, value) => sum + value * value, 0);
        });
        const sorted = worth.toSorted((a, b) => b - a);
        worth.forEach((value, i) => assert.ok(Math.abs(value - sorted[i]) < 1e-5 * sorted[0]));
      }
      const turns = ranked!.slice(0, EXPERTS).map((unit) => Math.floor(unit / INNER));
      assert.deepEqual(turns, [...Array(EXPERTS).keys()], "the first one of each");
      // What is left of a narrower one is ranked among itself, behind nothing that went.
      weights.rearrange([{ ...weights.ranking[0]!, channels: ranked! }]);
      const narrow = [{ experts: 4, channels: 2 }];
      const few = await decoder.captureExperts(0, narrow, input, capture);
      const again = { energy: new Map(), experts: new Map([[0, few.experts]]) };
      const [second] = await rankByActivations(decoder, narrow, "channels", energy, again);
      assert.deepEqual(
        second!.slice(0, 2 * EXPERTS).toSorted(),
        ranked!.slice(0, 2 * EXPERTS).toSorted(),
      );
      const gone = few.experts.energy!.filter((_, unit) => !second!.slice(0, 14).includes(unit));
      assert.ok(gone.every((value) => value === 0));
    }
  },
});

Deno.test("mixtures: l1 ranks each expert's channels by its own rows", async () => {
  const { model } = modelOf([CHANNELLED], valuesOf, "F32");
  const [ranked] = await rankByWeights(model, PUBLISHED_RANKING);
  const [gate, up] = ["gate", "up"].map((name) => valuesOf(`0.experts.${name}`));
  const norm = (unit: number) =>
    Array.from({ length: HIDDEN }, (_, i) => unit * HIDDEN + i)
      .reduce((sum, i) => sum + Math.abs(gate[i]) + Math.abs(up[i]), 0);
  for (let e = 0; e < EXPERTS; e++) {
    const own = ranked!.channels.filter((unit) => Math.floor(unit / INNER) === e);
    assert.deepEqual(own, own.toSorted((a, b) => norm(b) - norm(a) || a - b), `expert ${e}`);
  }
  const [lying] = await rankByWeights(model, PUBLISHED_RANKING, { owned: false });
  assert.deepEqual(lying!.channels, sourceRanking([CHANNELLED])[0]!.channels);
});
