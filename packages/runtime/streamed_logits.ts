import type { Backend } from "@lopper/backends";
import { denseShape } from "@lopper/core";
import type { Model } from "@lopper/models";
import { Decoder } from "./decoder.ts";
import { LaidOutWeights, type LoadOptions } from "./weight_layout.ts";

/**
 * Logits `[ids.length, vocabSize]` of one sequence, as `sequenceLogits` computes them, with one
 * layer in memory at a time, and before and after the layers the embedding and the LM head: for
 * models that are run once.
 */
export async function streamedLogits(
  backend: Backend,
  model: Model,
  ids: readonly number[],
): Promise<Float32Array> {
  const blocks = model.architecture.blocks;
  const shape = denseShape(blocks);
  let hidden = await withPart(backend, model, "outer", (decoder) => decoder.embed([ids]));
  for (const layer of new Set(blocks.map((block) => block.layer))) {
    hidden = await withPart(backend, model, { layer }, async (decoder) => {
      let inside = hidden;
      for (const [number, block] of blocks.entries()) {
        if (block.layer === layer) inside = await decoder.runBlock(number, shape, inside);
      }
      return inside;
    });
  }
  return await withPart(backend, model, "outer", (decoder) => decoder.logits(hidden.data));
}

async function withPart<T>(
  backend: Backend,
  model: Model,
  only: LoadOptions["only"],
  use: (decoder: Decoder) => Promise<T>,
): Promise<T> {
  // Half-precision weights stay so: one pass does not repay expanding them.
  const weights = await LaidOutWeights.load(model, {
    expandedBytes: 0,
    expertBytes: 0,
    only,
  });
  await using decoder = new Decoder(backend, weights);
  return await use(decoder);
}
