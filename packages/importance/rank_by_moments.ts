import { GramSum, type Matrix, matrix, Products } from "@lopper/algebra";
import {
  type Architecture,
  CalibrationError,
  hasOutputProjection,
  outputProjection,
  type Shape,
  widestInner,
} from "@lopper/core";
import type { Decoder, KeptStates } from "@lopper/runtime";
import { batchNumbers, type BatchOptions } from "./batches.ts";
import type { CalibrationSet } from "./calibration.ts";
import { addCaptured, embeddedBatches } from "./hidden_states.ts";
import { inPlaces, lyingUnits, type RankedUnits } from "./ranked_units.ts";
import type { MomentRule } from "./rankings/rule.ts";

/**
 * Bytes that `rankByMoments` takes beside the weights: those of matrices for the widest block, and
 * the hidden states of its text, which a workspace keeps.
 * @param tokens of the text, at most.
 */
export function rankByMomentsBytes(
  architecture: Architecture,
  tokens: number,
): { readonly equations: number; readonly kept: number } {
  const { hiddenSize } = architecture;
  const widest = widestInner(architecture.blocks);
  // H, its inverse, the products of weights, and what an engine holds of one of them; the
  // projection, scaled, too.
  return {
    equations: 4 * (4 * widest ** 2 + 2 * widest * hiddenSize),
    kept: 4 * tokens * hiddenSize,
  };
}

/**
 * The decoder's units of a dimension by how the activations of a text go together. Inputs of each
 * block are those of the model that `shape` says, with the weights that are there. Only those units
 * move that `shape` keeps, as in `rankByActivations`.
 *
 * The text goes through the model once, block by block, so that the second moments of one block are
 * in memory at a time.
 *
 * @param options.onProgress hears of the blocks done, with fractions, and of their number; may
 *   throw to stop.
 * @throws {CalibrationError} naming the block whose activations float32 is not enough for on this
 *   text.
 */
export async function rankByMoments(
  decoder: Decoder,
  shape: Shape,
  dimension: string,
  rule: MomentRule,
  set: CalibrationSet,
  options: BatchOptions & { readonly onProgress?: (done: number, blocks: number) => void } = {},
): Promise<RankedUnits> {
  const ranked = [...lyingUnits(decoder, dimension)];
  // A single unit has nothing that it could come before or after.
  const isRanked = shape.map((size, block) =>
    (size?.[dimension] ?? 0) > 1 && hasOutputProjection(decoder.blocks[block]) &&
    outputProjection(decoder.blocks[block]).axes[1].dimension === dimension
  );
  const count = isRanked.lastIndexOf(true) + 1;
  const products = new Products(decoder.backend);
  const states = await embeddedBatches(decoder, set, batchNumbers(set, options));
  // Equations take the place of what the head was expanded in.
  decoder.weights.release();
  try {
    for (let block = 0; block < count; block++) {
      const onProgress = (share: number) => options.onProgress?.(block + share, count);
      onProgress(0);
      if (!isRanked[block]) {
        for (let b = 0; b < states.length; b++) {
          await states.put(b, await decoder.runBlock(block, shape, await states.read(b)));
        }
        continue;
      }
      const gram = await momentsOf(decoder, shape, block, states, products);
      const places = await rule.places(products, {
        gram,
        ...await columnsOf(decoder, shape, block),
        onProgress,
      });
      if (!places) throw noFit(rule, decoder.blocks[block].id);
      ranked[block] = inPlaces(ranked[block]!, places);
    }
  } finally {
    states.drop();
    await products.dispose();
  }
  return ranked;
}

/**
 * The output projection of a block, transposed, and how many of its rows are one unit; good until
 * the decoder runs.
 */
async function columnsOf(
  { architecture, blocks, weights }: Decoder,
  shape: Shape,
  block: number,
) {
  const { axes: [, { width }] } = outputProjection(blocks[block]);
  const { rows, data } = await weights.output(block, shape[block]!);
  return { width, columns: matrix(rows, architecture.hiddenSize, data) };
}

/**
 * The sum of aaᵀ over all tokens, its lower triangle, a being what enters a block's projection;
 * moves the hidden states on past the block.
 */
async function momentsOf(
  decoder: Decoder,
  shape: Shape,
  block: number,
  states: KeptStates,
  products: Products,
): Promise<Matrix> {
  const gram = new GramSum(products);
  for (let b = 0; b < states.length; b++) {
    await states.put(b, await addCaptured(gram, decoder, shape, block, await states.read(b)));
  }
  return gram.take();
}

function noFit({ name }: MomentRule, block: string): CalibrationError {
  return new CalibrationError(
    `--ranking ${name} fits what stays of a block to what goes, and the activations of block ${block} allow no fit in float32 ` +
      "on this text; it needs other --calibration text, or --ranking energy",
  );
}
