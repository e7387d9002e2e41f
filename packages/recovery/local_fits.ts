import { GramSum, type Matrix, matrix, partOf, type Products, rowsOf } from "@lopper/algebra";
import { type BlockSize, denseShape, hasOutputProjection, innerWidth, sizeOf } from "@lopper/core";
import { addCaptured } from "@lopper/importance";
import type { Moments } from "./moments.ts";
import { advance, type BatchedText, begin, type Pass } from "./pass.ts";
import { type Projections, type RefitModel, stored } from "./projections.ts";
import { fitOf } from "./refit.ts";

/** The numbers of the blocks that are there, and whose output projection lost inputs. */
function narrowedBlocks({ decoder: { blocks }, shape }: RefitModel): readonly number[] {
  return blocks.flatMap((block, number) => {
    const size = shape[number];
    if (!size || !hasOutputProjection(block)) return [];
    return innerWidth(block, size) < innerWidth(block, sizeOf(block)) ? [number] : [];
  });
}

/**
 * Fits the output projection of every narrowed block to what the dense block writes on dense
 * inputs: ridge regression toward the weights that are there, W = W_S + W_R G_RS (G_SS + λI)⁻¹, G
 * being the Gram matrix of what enters the dense projection, S the channels that stay and R those
 * that go. One pass of the dense model over the text gives the equations of all blocks, and no fit
 * depends on another. A block is left out where a λ has no solution.
 *
 * The decoder holds the weights of the checkpoint, units that stay first; it keeps them.
 * @param lambdas shares of the mean diagonal of G_SS.
 * @param onBlock hears of the number of each block before it runs; may throw to stop.
 * @returns the projections by λ.
 */
export async function localFits(
  model: RefitModel,
  products: Products,
  text: BatchedText,
  lambdas: readonly number[],
  onBlock?: (block: number) => void,
): Promise<ReadonlyMap<number, Projections>> {
  const { decoder, dtypeOf } = model;
  const dense = denseShape(decoder.blocks);
  const narrowed = narrowedBlocks(model);
  const fits = new Map(lambdas.map((lambda) => [lambda, new Map()]));
  const pass = await begin(decoder, text);
  // Equations take the place of what the head was expanded in.
  decoder.weights.release();
  try {
    for (const block of narrowed) {
      while (pass.block < block) {
        onBlock?.(pass.block);
        await advance(decoder, dense, pass, pass.block + 1);
      }
      onBlock?.(block);
      const { moments, rows } = await localMoments(
        model,
        products,
        block,
        await captureGram(model, products, pass),
      );
      const dtype = dtypeOf(decoder.blocks[block]);
      for (const [lambda, found] of fits) {
        const fit = await fitOf(products, moments, { rows, dtype }, lambda);
        if (fit) found.set(block, await stored(decoder.weights.workspace, dtype, fit.rows));
      }
    }
  } finally {
    pass.states.drop();
  }
  return fits;
}

/** Moves the dense model's text one block on: the Gram matrix of what entered its projection. */
export async function captureGram(
  { decoder }: RefitModel,
  products: Products,
  pass: Pass,
): Promise<Matrix> {
  const dense = denseShape(decoder.blocks);
  const gram = new GramSum(products);
  const { states, block } = pass;
  for (let b = 0; b < states.length; b++) {
    await states.put(b, await addCaptured(gram, decoder, dense, block, await states.read(b)));
  }
  pass.block += 1;
  return gram.take();
}

/**
 * The equations of one block, and its projection as it is: the Gram matrix of the channels that
 * stay, and its part between them and those that go times what these write.
 */
export async function localMoments(
  { decoder, shape }: RefitModel,
  products: Products,
  block: number,
  gram: Matrix,
): Promise<{ readonly moments: Moments; readonly rows: Float32Array }> {
  const { blocks, weights, architecture: { hiddenSize } } = decoder;
  const projection = async (size: BlockSize) => (await weights.output(block, size)).data.slice();
  const rows = await projection(shape[block]!);
  const whole = await projection(sizeOf(blocks[block]));
  const [stay, all] = [rows.length / hiddenSize, whole.length / hiddenSize];
  const between = partOf(gram, [stay, all], [0, stay]);
  const gone = rowsOf(matrix(all, hiddenSize, whole), stay, all);
  return {
    moments: {
      gram: partOf(gram, [0, stay], [0, stay]),
      cross: await products.product(between, gone, { transA: true }),
    },
    rows,
  };
}
