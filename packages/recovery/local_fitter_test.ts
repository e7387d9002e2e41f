import { Products } from "@lopper/algebra";
import { openBackend } from "@lopper/backends";
import { denseShape, outputProjection } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { LocalFitter } from "./local_fitter.ts";
import { localFits } from "./local_fits.ts";
import { batched } from "./pass.ts";
import { rowsOf } from "./projections.ts";

const FOLDER = fileURLToPath(new URL("../../tests/fixtures/families/qwen2", import.meta.url));
const LENGTH = 9;
const LAMBDA = 0.1;

Deno.test("local fitter: a candidate has the fit that it would have in a plan of its own, and it goes again", async () => {
  const { backend } = await openBackend("cpu", { threads: 1 });
  using model = await openModel(new FileFolder(FOLDER));
  const decoder = new Decoder(backend, await LaidOutWeights.load(model));
  const { vocabSize } = model.architecture;
  const sequences = Array.from(
    { length: 12 },
    (_, s) => Array.from({ length: LENGTH }, (_, i) => (1 + 7 * s * s + 13 * i) % vocabSize),
  );
  const set = { sequences, length: LENGTH, ignoredLabel: null, digest: "sha256:test" };
  const text = batched(set, 4 * LENGTH);
  const products = new Products(backend);
  const dtypeOf = () => "F32" as const;
  const whole = denseShape(decoder.blocks);
  const outputOf = async (block: number, shape: typeof whole) => {
    const { name } = outputProjection(decoder.blocks[block]);
    const weights = await decoder.weights.block(block, shape[block]!);
    return weights.find((weight) => weight.name === name)!.data.slice();
  };
  const fitter = new LocalFitter({ decoder, dtypeOf }, products, text);
  const channels = whole[1]!.channels;
  const cells = [
    [1, whole.with(1, { channels: channels - 4 })],
    [1, whole.with(1, { channels: channels - 8 })],
    [3, whole.with(3, { channels: channels - 4 })],
    // Behind the pass.
    [0, whole.with(0, { kvGroups: 1 })],
  ] as const;
  const before = await Promise.all(decoder.blocks.map((_, block) => outputOf(block, whole)));
  for (const [block, shape] of cells) {
    const fits = await localFits({ decoder, shape, dtypeOf }, products, text, [LAMBDA]);
    const start = decoder.blockTokens;
    await fitter.put({ shape, first: block });
    const ran = (decoder.blockTokens - start) / (12 * LENGTH);
    const wanted = await rowsOf(fits.get(LAMBDA)!.get(block)!);
    assert.deepEqual(await outputOf(block, shape), wanted, `block ${block}`);
    // The dense text goes on from the last cell, and one of the same block needs nothing of it.
    assert.equal(
      Math.round(ran),
      shape === cells[1][1] ? 0 : shape === cells[0][1] || block === 3 ? 2 : 1,
    );
    await fitter.restore();
    for (const [at, rows] of before.entries()) assert.deepEqual(await outputOf(at, whole), rows);
  }
  await fitter.put({ shape: whole.with(1, null), first: 1 });
  assert.deepEqual(await outputOf(1, whole), before[1], "what is gone has no fit");
  await fitter.restore();
  await products.dispose();
  await decoder.dispose();
  await backend[Symbol.asyncDispose]();
});
