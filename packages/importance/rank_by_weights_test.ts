import { headsOf, sizeOf } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { fromFloat32, toFloat32 } from "@lopper/formats";
import { openModel } from "@lopper/models";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { rankByWeights } from "./rank_by_weights.ts";
import { l1 } from "./rankings/l1.ts";

const FIXTURES = fileURLToPath(new URL("../../tests/fixtures/families", import.meta.url));

for (const family of ["llama-mha", "qwen2", "qwen3", "qwen2-heterogeneous"]) {
  Deno.test(`weight ranking of ${family}: L1 norms as published, largest first`, async () => {
    const model = await openModel(new FileFolder(`${FIXTURES}/${family}`));
    const row = async (name: string, r: number) => {
      const { dtype, shape } = model.store.tensors.get(name)!;
      const values = toFloat32(dtype, await model.store.readBytes(name));
      return values.subarray(r * shape[1], (r + 1) * shape[1])
        .reduce((sum, value) => sum + Math.abs(value), 0);
    };
    const ranking = await rankByWeights(model, l1);
    for (const [number, block] of model.architecture.blocks.entries()) {
      const { layer: l } = block;
      const prefix = `model.layers.${l}`;
      const { kvGroups, channels } = ranking[number]!;
      if (!block.attention) {
        const score = async (c: number) =>
          await row(`${prefix}.mlp.gate_proj.weight`, c) +
          await row(`${prefix}.mlp.up_proj.weight`, c);
        assert.equal(new Set(channels).size, sizeOf(block).channels);
        const scores = await Promise.all(channels.map(score));
        scores.slice(1).forEach((s, i) => assert.ok(s <= scores[i] + 1e-4, `layer ${l}`));
      } else {
        const { queryHeads, kvHeads, headDim } = headsOf(block);
        const repeats = queryHeads / kvHeads;
        const score = async (group: number) => {
          let sum = 0;
          for (let head = group * repeats; head < (group + 1) * repeats; head++) {
            for (let i = 0; i < headDim; i++) {
              sum += await row(`${prefix}.self_attn.q_proj.weight`, head * headDim + i);
              // each query head repeats the rows of its KV head
              const kv = Math.floor(head / repeats) * headDim + i;
              sum += await row(`${prefix}.self_attn.k_proj.weight`, kv);
              sum += await row(`${prefix}.self_attn.v_proj.weight`, kv);
            }
          }
          return sum / (repeats * headDim);
        };
        assert.equal(new Set(kvGroups).size, kvHeads);
        const scores = await Promise.all(kvGroups.map(score));
        scores.slice(1).forEach((s, i) => assert.ok(s <= scores[i] + 1e-4, `layer ${l}`));
      }
    }
    model[Symbol.dispose]();
  });
}

Deno.test("weight ranking: equal norms keep the order of the checkpoint, and signs and biases do not count", async () => {
  const model = await openModel(new FileFolder(`${FIXTURES}/qwen2`));
  // Every row sums to 1, signs mixed, but for what is said here; biases stay those of the fixture.
  const heavy: Record<string, readonly number[]> = {
    // rows of the second query head of group 1, of 3 heads each
    "model.layers.0.self_attn.q_proj.weight": [4 * model.architecture.headDim],
    "model.layers.1.self_attn.v_proj.weight": [model.architecture.headDim],
    "model.layers.0.mlp.gate_proj.weight": [7, 3],
    "model.layers.0.mlp.up_proj.weight": [7, 5],
  };
  const readFloat32 = (name: string) => {
    const { shape } = model.store.tensors.get(name)!;
    const [rows, columns] = shape;
    const values = Float32Array.from(
      { length: rows * columns },
      (_, i) => (i % 2 === 0 ? 1 : -1) / columns,
    );
    for (const row of heavy[name] ?? []) {
      for (let c = 0; c < columns; c++) values[row * columns + c] *= 2;
    }
    return Promise.resolve(toFloat32("F32", fromFloat32("F32", values)));
  };
  const ranking = await rankByWeights({ ...model, store: { ...model.store, readFloat32 } }, l1);
  const all = (n: number) => Array.from({ length: n }, (_, i) => i);
  const [attention, mlp] = model.architecture.blocks;
  const { queryHeads, kvHeads } = headsOf(attention);
  assert.deepEqual([queryHeads, kvHeads], [6, 2]);
  const { channels } = sizeOf(mlp);
  const others = all(channels).filter((c) => ![7, 3, 5].includes(c));
  assert.deepEqual(ranking.slice(0, 4), [
    { kvGroups: [1, 0] },
    { channels: [7, 3, 5, ...others] },
    { kvGroups: [1, 0] },
    { channels: all(channels) },
  ]);
  model[Symbol.dispose]();
});
