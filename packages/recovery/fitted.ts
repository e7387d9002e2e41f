import type { Products } from "@lopper/algebra";
import { type Block, hasOutputProjection } from "@lopper/core";
import { errorOf, expertMoments } from "./expert_moments.ts";
import { fitBatches, momentsOf } from "./moments.ts";
import type { PassPair } from "./pass.ts";
import type { RefitModel } from "./projections.ts";
import { bestFit, type Fit, fitOf, type Projection } from "./refit.ts";

/** What of a block equations give anew, and how. */
export interface Fitted {
  /** The fits that there are, learnt from a text. */
  fits(text: PassPair, lambdas: readonly number[]): Promise<readonly Fit[]>;
  /** The one with the smallest error on another text; null where none is smaller than without. */
  best(fits: readonly Fit[], text: PassPair): Promise<Fit | null>;
  /** Puts values in the place of others, which it returns. */
  put(values: Float32Array): Promise<Float32Array>;
}

/**
 * Whether something of a block is fitted: its output projection, or of a mixture what each expert
 * is multiplied with, where no norm lies behind it.
 */
export function isFitted(block: Block): boolean {
  return hasOutputProjection(block) ||
    (block.routing !== undefined && (block.placement ?? "pre") === "pre");
}

/** @param block its number. */
export function fittedOf(model: RefitModel, products: Products, block: number): Fitted {
  return hasOutputProjection(model.decoder.blocks[block])
    ? projectionOf(model, products, block)
    : scalesOf(model, products, block);
}

function projectionOf(model: RefitModel, products: Products, block: number): Fitted {
  const { decoder, shape, dtypeOf } = model;
  /** As it is now; good until the decoder runs. */
  const current = async (): Promise<Projection> => {
    const { data } = await decoder.weights.output(block, shape[block]!);
    return { rows: data, dtype: dtypeOf(decoder.blocks[block]) };
  };
  const batches = (text: PassPair) => fitBatches(products, decoder, shape, text);
  return {
    async fits(text, lambdas) {
      const moments = await momentsOf(products, batches(text));
      return await fitsOf(
        lambdas,
        async (lambda) => await fitOf(products, moments, await current(), lambda),
      );
    },
    best: (fits, text) => bestFit(products, fits, batches(text)),
    put: (rows) => decoder.weights.replaceOutput(block, shape[block]!, rows),
  };
}

/**
 * Of a mixture: a factor for each expert, by ridge regression toward the factors that are there. A
 * softmax over all experts gives those that stay more weight than they had, and each makes up for
 * others as far as it puts out the same.
 */
function scalesOf(
  { decoder, shape, dtypeOf }: RefitModel,
  products: Products,
  block: number,
): Fitted {
  const size = shape[block]!;
  return {
    async fits(text, lambdas) {
      // It refuses what holds no new weights; factors themselves are written nowhere.
      dtypeOf(decoder.blocks[block]);
      const rows = decoder.weights.expertScales(block, size);
      const moments = await expertMoments(decoder, shape, text);
      return await fitsOf(
        lambdas,
        (lambda) => fitOf(products, moments, { rows, dtype: "F32" }, lambda),
      );
    },
    async best(fits, text) {
      const moments = await expertMoments(decoder, shape, text);
      const errors = fits.map(({ change }) => errorOf(moments, change.data));
      const least = Math.min(...errors);
      return least < moments.missing ? fits[errors.indexOf(least)] : null;
    },
    put: (scales) => Promise.try(() => decoder.weights.replaceExpertScales(block, size, scales)),
  };
}

/** One after the other: they share an engine. */
async function fitsOf(
  lambdas: readonly number[],
  fitOf: (lambda: number) => Promise<Fit | null>,
): Promise<readonly Fit[]> {
  const fits: Fit[] = [];
  for (const lambda of lambdas) {
    const fit = await fitOf(lambda);
    if (fit) fits.push(fit);
  }
  return fits;
}
