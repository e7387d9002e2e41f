import { openBackend } from "@lopper/backends";
import {
  type Block,
  denseShape,
  firstRope,
  headsOf,
  outputProjection,
  type Shape,
  withUnits,
} from "@lopper/core";
import { type Model, openModel, weightsOfBlock } from "@lopper/models";
import { FileFolder } from "@lopper/files";
import { Decoder, LaidOutWeights, ropeTable } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { CalibrationSet } from "./calibration.ts";
import { rankByActivations } from "./rank_by_activations.ts";
import { seenActivations } from "./seen_activations.ts";
import { rankByWeights } from "./rank_by_weights.ts";
import { lyingUnits, rankLike } from "./ranked_units.ts";
import { energy as byEnergy } from "./rankings/energy.ts";
import { l1 } from "./rankings/l1.ts";
import { wanda } from "./rankings/wanda.ts";

const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/families", import.meta.url));
const LENGTH = 11;

function texts(vocabSize: number): CalibrationSet {
  const sequences = Array.from(
    { length: 5 },
    (_, s) => Array.from({ length: LENGTH }, (_, i) => (7 * s * s + 13 * i + s) % vocabSize),
  );
  return { sequences, length: LENGTH, ignoredLabel: null, digest: "sha256:test" };
}

async function withDecoder(
  family: string,
  backendName: "cpu" | "wasm",
  body: (decoder: Decoder, model: Model) => Promise<void>,
) {
  const { backend } = await openBackend(backendName, { threads: 1 });
  const model = await openModel(new FileFolder(`${FIXTURES}/${family}`));
  const decoder = new Decoder(
    backend,
    await LaidOutWeights.load(model, { ranking: await rankByWeights(model, l1) }),
  );
  try {
    await body(decoder, model);
  } finally {
    await decoder.dispose();
    await backend[Symbol.asyncDispose]();
    model[Symbol.dispose]();
  }
}

/**
 * A reference in plain loops and double precision: sums of squares of what enters down and o, in
 * checkpoint order.
 */
async function referenceEnergy(model: Model, set: CalibrationSet): Promise<Map<number, number[]>> {
  const { architecture, store } = model;
  const { hiddenSize, headDim, norm: { eps } } = architecture;
  const read = async (block: Block) =>
    new Map(
      await Promise.all(
        [...weightsOfBlock(model, block)].map(async ([name, { name: tensor }]) =>
          [name as string, await store.readFloat32(tensor)] as const
        ),
      ),
    );
  const embedding = await store.readFloat32(
    model.weights.find(({ role }) => role.part === "embedding")!.tensor.name,
  );
  const norm = (x: number[], weight: Float32Array) => {
    const mean = x.reduce((s, v) => s + v * v, 0) / x.length;
    return x.map((v, i) => v / Math.sqrt(mean + eps) * weight[i]);
  };
  const project = (x: number[], weight: Float32Array, bias?: Float32Array) => {
    const rows = weight.length / x.length;
    return Array.from(
      { length: rows },
      (_, r) => x.reduce((s, v, i) => s + v * weight[r * x.length + i], bias?.[r] ?? 0),
    );
  };
  const rope = ropeTable(firstRope(architecture)!, headDim, LENGTH);
  const half = headDim / 2;
  const rotate = (x: number[], t: number) =>
    x.map((v, i) => {
      const j = i % half;
      const [c, s] = [rope.cos[t * half + j], rope.sin[t * half + j]];
      return i < half ? v * c - x[i + half] * s : v * c + x[i - half] * s;
    });
  const sums = new Map<number, number[]>();
  const count = (block: number, captured: number[]) =>
    sums.set(block, captured.map((v, c) => (sums.get(block)?.[c] ?? 0) + v * v));
  const weights = await Promise.all(architecture.blocks.map(read));
  for (const sequence of set.sequences) {
    let hidden = sequence.map((id) =>
      Array.from(embedding.subarray(id * hiddenSize, (id + 1) * hiddenSize))
    );
    for (const [block, described] of architecture.blocks.entries()) {
      const a = weights[block];
      if (described.attention) {
        const { queryHeads, kvHeads } = headsOf(described);
        const heads = (x: number[], normed: string, t: number | null) =>
          Array.from({ length: x.length / headDim }, (_, h) => {
            const head = x.slice(h * headDim, (h + 1) * headDim);
            const w = a.get(normed);
            const n = w && t !== null ? norm(head, w) : head;
            return t === null ? n : rotate(n, t);
          });
        const normed = hidden.map((x) => norm(x, a.get("norm")!));
        const q = normed.map((x, t) =>
          heads(project(x, a.get("q")!, a.get("q_bias")), "q_norm", t)
        );
        const k = normed.map((x, t) =>
          heads(project(x, a.get("k")!, a.get("k_bias")), "k_norm", t)
        );
        const v = normed.map((x) => heads(project(x, a.get("v")!, a.get("v_bias")), "", null));
        hidden = hidden.map((x, t) => {
          const context = q[t].flatMap((query, h) => {
            const kv = Math.floor(h * kvHeads / queryHeads);
            const scores = Array.from(
              { length: t + 1 },
              (_, u) =>
                query.reduce((s, value, i) => s + value * k[u][kv][i], 0) / Math.sqrt(headDim),
            );
            const top = Math.max(...scores);
            const weights = scores.map((s) => Math.exp(s - top));
            const total = weights.reduce((s, w) => s + w, 0);
            return Array.from(
              { length: headDim },
              (_, i) => weights.reduce((s, w, u) => s + w / total * v[u][kv][i], 0),
            );
          });
          count(block, context);
          return project(context, a.get("o")!, a.get("o_bias")).map((y, i) => x[i] + y);
        });
      }
      if (!described.attention) {
        const m = weights[block];
        hidden = hidden.map((x) => {
          const normed = norm(x, m.get("norm")!);
          const up = project(normed, m.get("up")!, m.get("up_bias"));
          const captured = project(normed, m.get("gate")!, m.get("gate_bias"))
            .map((gate, c) => gate / (1 + Math.exp(-gate)) * up[c]);
          count(block, captured);
          return project(captured, m.get("down")!, m.get("down_bias")).map((y, i) => x[i] + y);
        });
      }
    }
  }
  const tokens = set.sequences.length * LENGTH;
  return new Map([...sums].map(([block, sum]) => [block, sum.map((value) => value / tokens)]));
}

function engineTest(name: string, fn: () => Promise<void>) {
  Deno.test({
    name: `activation ranking: ${name}`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn,
  });
}

const FAMILIES = [
  "llama-mha",
  "llama-mqa",
  "llama-missing-blocks",
  "mistral",
  "qwen2",
  "qwen2-heterogeneous",
  "qwen3",
];
for (const family of FAMILIES) {
  for (const backend of ["cpu", "wasm"] as const) {
    engineTest(
      `${family} on ${backend}: energy and ranking as a reference in plain loops has them`,
      () =>
        withDecoder(family, backend, async (decoder, model) => {
          const set = texts(model.architecture.vocabSize);
          const { hiddenSize } = model.architecture;
          const shape = denseShape(decoder.blocks);
          const { energy } = await seenActivations(decoder, shape, set, {
            batchTokens: 2 * LENGTH,
          });
          const wanted = await referenceEnergy(model, set);
          const before = decoder.weights.ranking;
          assert.deepEqual([...energy.keys()], [...wanted.keys()]);
          assert.ok(energy.size > 0);
          for (const [block, squares] of wanted) {
            const described = decoder.blocks[block];
            const { dimension: kind, width } = outputProjection(described).axes[1];
            const units = before[block]![kind];
            const places = units.flatMap((u) =>
              Array.from({ length: width }, (_, i) => u * width + i)
            );
            const found = energy.get(block)!;
            assert.equal(found.length, squares.length);
            places.forEach((c, i) =>
              assert.ok(
                Math.abs(found[i] - squares[c]) <= 1e-4 * squares[c] + 1e-10,
                `block ${block}, channel ${c}: ${found[i]} is not ${squares[c]}`,
              )
            );
            const tensor = weightsOfBlock(model, described).get(
              described.attention ? "o" : "down",
            )!;
            const matrix = await model.store.readFloat32(tensor.name);
            for (const rule of [byEnergy, wanda]) {
              const score = (unit: number) => {
                let sum = 0;
                for (let c = unit * width; c < (unit + 1) * width; c++) {
                  const column = Array.from(
                    { length: hiddenSize },
                    (_, r) => matrix[r * squares.length + c],
                  );
                  sum += rule === byEnergy
                    ? squares[c] * column.reduce((s, w) => s + w * w, 0)
                    : Math.sqrt(squares[c]) * column.reduce((s, w) => s + Math.abs(w), 0);
                }
                return sum;
              };
              const ranked = await rankByActivations(decoder, shape, kind, rule, {
                energy,
                experts: new Map(),
              });
              const scores = ranked[block]!.map(score);
              assert.equal(new Set(ranked[block]).size, units.length);
              scores.slice(1).forEach((s, i) =>
                assert.ok(s <= scores[i] * (1 + 1e-4), `block ${block}, ${rule.name}, place ${i}`)
              );
              assert.ok(
                decoder.blocks.every(({ dimensions }, b) =>
                  dimensions[0].name === kind || ranked[b] === null
                ),
              );
            }
          }
        }),
    );
  }
}

engineTest(
  "what is cut off stays behind, and a rearranged model computes the same",
  () =>
    withDecoder("qwen2-heterogeneous", "cpu", async (decoder, model) => {
      const set = texts(model.architecture.vocabSize);
      const dense = denseShape(decoder.blocks);
      const block = dense.findIndex((size) => size!.channels > 8);
      const width = dense[block]!.channels - 5;
      const shape = dense.with(block, { channels: width });
      const before = decoder.weights.ranking;
      const run = async (of: Shape = shape) => {
        let hidden = await decoder.embed(set.sequences);
        for (const number of of.keys()) hidden = await decoder.runBlock(number, of, hidden);
        return hidden.data;
      };
      const old = [await run(), await run(dense)];
      const lying = lyingUnits(decoder, "channels");
      const { energy } = await seenActivations(decoder, shape, set);
      const seen = { energy, experts: new Map() };
      const ranked = await rankByActivations(decoder, shape, "channels", byEnergy, seen);
      const [was, is] = [lying[block]!, ranked[block]!];
      assert.notDeepEqual(is, was);
      assert.deepEqual(is.slice(width), was.slice(width));
      decoder.weights.rearrange(withUnits(before, "channels", ranked));
      const now = [await run(), await run(dense)];
      // The same channels are kept, in another order: sums in float32 differ by rounding.
      old.forEach((data, i) =>
        data.forEach((value, j) =>
          assert.ok(Math.abs(value - now[i][j]) < 1e-4 * (1 + Math.abs(value)))
        )
      );
      assert.deepEqual(rankLike(decoder, shape, "channels", lying)[block], was);
      decoder.weights.rearrange(before);
      assert.deepEqual(await run(), old[0]);
      assert.throws(
        () => decoder.weights.rearrange(before.map((units) => ({ ...units, channels: [0, 0] }))),
        /does not have the \d+ units/,
      );
      assert.deepEqual(await run(), old[0]);
    }),
);
