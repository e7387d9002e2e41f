import { maxAbsDifference, openTinyEngine } from "@lopper/backends/testing";
import type { Backend } from "@lopper/backends";
import type { Shape } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { type Model, openModel } from "@lopper/models";
import { Decoder, LaidOutWeights, sequenceLogits } from "@lopper/runtime";
import assert from "node:assert/strict";
import { FIXTURES, fixturesByFamily, halved } from "./support/family_checks.ts";

/** float32 sums of the same terms in another order, and products with other activations' bits. */
const TOLERANCE = 2e-4;
const TOKENS = 12;
/** Tokens that go through before the others, which find them in the cache. */
const BEFORE = 5;

type Close = (found: ArrayLike<number>, wanted: ArrayLike<number>, where: string) => void;

/** Compares what enters and leaves each block, of which rankings and refits are made. */
async function checkCaptures(
  [wasm, cpu]: readonly [Decoder, Decoder],
  shape: Shape,
  ids: readonly number[],
  close: Close,
) {
  let input = await cpu.embed([ids]);
  for (const [number, block] of cpu.blocks.entries()) {
    if (shape[number]) {
      close(await wasm.blockInput(number, input), await cpu.blockInput(number, input), block.id);
      if (block.routing) {
        const [found, wanted] = [
          await wasm.captureExperts(number, shape, input),
          await cpu.captureExperts(number, shape, input),
        ];
        assert.deepEqual(found.experts.tokens, wanted.experts.tokens, block.id);
        close(found.experts.squares, wanted.experts.squares, `experts of ${block.id}`);
      } else {
        const captured = (decoder: Decoder) => decoder.captureBlock(number, shape, input, "values");
        close((await captured(wasm)).captured, (await captured(cpu)).captured, `in ${block.id}`);
      }
    }
    input = await cpu.runBlock(number, shape, input);
  }
}

/** Logits of the tokens behind those that are in the cache. */
async function cachedLogits(decoder: Decoder, shape: Shape, ids: readonly number[]) {
  const [first, rest] = [ids.slice(0, BEFORE), ids.slice(BEFORE)];
  const { present } = await decoder.runCached(shape, await decoder.embed([first]), null);
  const input = await decoder.embed([rest], rest.map((_, i) => BEFORE + i));
  const { hidden } = await decoder.runCached(shape, input, present);
  return await decoder.logits(hidden.data);
}

async function checkFamily(model: Model, backends: readonly [wasm: Backend, cpu: Backend]) {
  const { architecture: { vocabSize } } = model;
  const ids = Array.from({ length: TOKENS }, (_, i) => (7 * i * i + 3 * i + 1) % vocabSize);
  const shape = halved(model, true);
  const close: Close = (found, wanted, where) => {
    const most = Math.max(1, ...Array.from(wanted, Math.abs));
    const off = maxAbsDifference(Float32Array.from(found), Float32Array.from(wanted)) / most;
    assert.ok(found.length === wanted.length && off < TOLERANCE, `${where}: off by ${off}`);
  };
  await using wasm = new Decoder(backends[0], await LaidOutWeights.load(model));
  await using cpu = new Decoder(backends[1], await LaidOutWeights.load(model));
  await checkCaptures([wasm, cpu], shape, ids, close);
  const wanted = (await sequenceLogits(cpu, [ids], shape)).subarray(BEFORE * vocabSize);
  close(await cachedLogits(wasm, shape, ids), wanted, "with a cache");
}

Deno.test({
  name: "each family on wasm: what refits and rankings see, and generation with a cache, as on cpu",
  // The engines keep thread pools for the life of the process.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using wasm = await openTinyEngine("wasm");
    await using cpu = await openTinyEngine("cpu");
    const fixtures = await fixturesByFamily();
    for (const [type, fixture] of fixtures) {
      using model = await openModel(new FileFolder(`${FIXTURES}/${fixture}`));
      await checkFamily(model, [wasm, cpu]).catch((error) => {
        throw new Error(`${type}: ${error.message}`, { cause: error });
      });
    }
    assert.ok(fixtures.size > 45);
  },
});
