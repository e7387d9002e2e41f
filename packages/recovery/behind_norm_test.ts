import { matrix, Products } from "@lopper/algebra";
import { openBackend } from "@lopper/backends";
import { denseShape } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { fitBatches, momentsOf } from "./moments.ts";
import { advance, batched, begin } from "./pass.ts";
import { fitOf } from "./refit.ts";

const FOLDER = fileURLToPath(new URL("../../tests/fixtures/families/olmo2", import.meta.url));

async function withOlmo(body: (decoder: Decoder, products: Products) => Promise<void>) {
  const { backend } = await openBackend("cpu", { threads: 1 });
  const model = await openModel(new FileFolder(FOLDER));
  await using decoder = new Decoder(backend, await LaidOutWeights.load(model));
  const products = new Products(backend);
  try {
    await body(decoder, products);
  } finally {
    await products.dispose();
    model[Symbol.dispose]();
    await backend[Symbol.asyncDispose]();
  }
}

const SEQUENCES = Array.from(
  { length: 12 },
  (_, s) => Array.from({ length: 10 }, (_, i) => (5 * s * s + 11 * i) % 40),
);
const TEXT = batched(
  { sequences: SEQUENCES, length: 10, ignoredLabel: null, digest: "sha256:test" },
  40,
);

/** The dense hidden states behind a block, and those before it. */
async function passes(decoder: Decoder, block: number) {
  const to = async (end: number) => {
    const pass = await begin(decoder, TEXT);
    await advance(decoder, denseShape(decoder.blocks), pass, end);
    return pass;
  };
  return { dense: await to(block + 1), pruned: await to(block) };
}

for (const block of [0, 1]) {
  Deno.test({
    name: `recovery: behind a norm, too, a fit of block ${block} brings hidden states nearer`,
    // The engine keeps its threads for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () =>
      withOlmo(async (decoder, products) => {
        const whole = denseShape(decoder.blocks);
        const [dimension, units] = Object.entries(whole[block]!)[0];
        const narrow = whole.with(block, { [dimension]: Math.ceil(units / 2) });
        const pair = await passes(decoder, block);
        const distance = async () => {
          let sum = 0;
          for (let b = 0; b < TEXT.batches.length; b++) {
            const input = await pair.pruned.states.read(b);
            const { data } = await decoder.runBlock(block, narrow, input);
            const wanted = (await pair.dense.states.read(b)).data;
            data.forEach((value, i) => sum += (value - wanted[i]) ** 2);
          }
          return sum;
        };
        const before = await distance();
        const batches = fitBatches(products, decoder, narrow, pair);
        const moments = await momentsOf(products, batches);
        const { data } = await decoder.weights.output(block, narrow[block]!);
        const fit = await fitOf(products, moments, { rows: data.slice(), dtype: "F32" }, 0.01);
        await decoder.weights.replaceOutput(block, narrow[block]!, fit!.rows);
        const after = await distance();
        assert.ok(before > 1 && after < 0.8 * before, `${before} before, ${after} after`);
      }),
  });
}

Deno.test({
  name: "recovery: behind a norm, a block that is whole lacks nothing, and writes rows of length 1",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withOlmo(async (decoder, products) => {
      const whole = denseShape(decoder.blocks);
      const pair = await passes(decoder, 1);
      for await (const { missing, captured } of fitBatches(products, decoder, whole, pair)) {
        const { data } = await decoder.weights.output(1, whole[1]!);
        const rows = matrix(captured.columns, missing.columns, data.slice());
        const written = await products.product(captured, rows);
        for (let t = 0; t < written.rows; t++) {
          const row = written.data.subarray(t * written.columns, (t + 1) * written.columns);
          const square = row.reduce((sum, value) => sum + value * value, 0) / row.length;
          assert.ok(Math.abs(square - 1) < 1e-3, `${square}`);
        }
        // What is added is a difference of hidden states, in float32.
        assert.ok(missing.data.every((value) => Math.abs(value) < 1e-4));
      }
    }),
});
