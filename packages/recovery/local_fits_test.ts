import { Products } from "@lopper/algebra";
import { openBackend } from "@lopper/backends";
import { denseShape } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import { inverse, Matrix as Dense } from "ml-matrix";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { localFits } from "./local_fits.ts";
import { batched } from "./pass.ts";
import { exchange, rowsOf } from "./projections.ts";
import { assertClose } from "./testing/products.ts";

const FOLDER = fileURLToPath(new URL("../../tests/fixtures/families/qwen2", import.meta.url));
const LENGTH = 9;
const LAMBDAS = [0.01, 1];

/** A tiny model of which blocks are narrower, one is gone and one is whole. */
async function narrowed() {
  const { backend } = await openBackend("cpu", { threads: 1 });
  using model = await openModel(new FileFolder(FOLDER));
  const decoder = new Decoder(backend, await LaidOutWeights.load(model));
  const whole = denseShape(decoder.blocks);
  const shape = whole.with(0, { kvGroups: 1 }).with(1, { channels: whole[1]!.channels - 4 })
    .with(2, null);
  const { vocabSize } = model.architecture;
  const sequences = Array.from(
    { length: 12 },
    (_, s) => Array.from({ length: LENGTH }, (_, i) => (1 + 7 * s * s + 13 * i) % vocabSize),
  );
  const set = { sequences, length: LENGTH, ignoredLabel: null, digest: "sha256:test" };
  return {
    refitted: { decoder, shape, dtypeOf: () => "F32" as const },
    products: new Products(backend),
    text: batched(set, 4 * LENGTH),
    sequences,
    whole,
  };
}

Deno.test("local fits: what stays writes what the whole block wrote on dense inputs, by ridge regression", async () => {
  const { refitted, products, text, sequences, whole } = await narrowed();
  const { decoder, shape } = refitted;
  const weightsOf = async (block: number, size = shape[block]!) =>
    (await decoder.weights.output(block, size)).data.slice();
  const before = [await weightsOf(0), await weightsOf(1)];
  const heard: number[] = [];
  const fits = await localFits(refitted, products, text, LAMBDAS, (block) => heard.push(block));
  assert.deepEqual([...fits.keys()], LAMBDAS);
  assert.deepEqual(heard, [0, 1], "behind the last one that lost something nothing has to run");

  const { hiddenSize } = decoder.architecture;
  const rows = (data: Float32Array, columns: number) =>
    Dense.from1DArray(data.length / columns, columns, Array.from(data));
  let hidden = await decoder.embed(sequences);
  for (const block of [0, 1]) {
    const run = await decoder.captureBlock(block, whole, hidden, "values");
    const x = rows(run.captured, run.captured.length / (12 * LENGTH));
    const w = rows(await weightsOf(block, whole[block]!), hiddenSize);
    const stay = before[block].length / hiddenSize;
    assert.ok(stay < w.rows);
    const kept = x.subMatrix(0, x.rows - 1, 0, stay - 1);
    const wanted = kept.transpose().mmul(x.mmul(w));
    const gram = kept.transpose().mmul(kept);
    for (const lambda of LAMBDAS) {
      const ridge = Dense.eye(stay).mul(lambda * gram.trace() / stay);
      // (G + λI)⁻¹(Xᵀ Y + λ W_S): ridge regression to the dense output, toward the weights.
      const toward = Dense.add(wanted, ridge.mmul(rows(before[block], hiddenSize)));
      const solved = inverse(Dense.add(gram, ridge)).mmul(toward);
      const found = await rowsOf(fits.get(lambda)!.get(block)!);
      assertClose(found, solved, `block ${block}, λ ${lambda}`);
    }
    hidden = run.hidden;
  }
  for (const by of fits.values()) assert.deepEqual([...by.keys()], [0, 1]);
  for (const block of [0, 1]) {
    assert.deepEqual(await weightsOf(block), before[block], "as they were");
  }

  const old = await exchange(refitted, fits.get(1)!);
  assert.notDeepEqual(weightsOf(1), before[1]);
  await exchange(refitted, old);
  for (const block of [0, 1]) assert.deepEqual(await weightsOf(block), before[block], "put back");
  await products.dispose();
  await decoder.dispose();
});
