import type { Matrix, Products } from "@lopper/algebra";
import { denseShape, hasOutputProjection } from "@lopper/core";
import type { Fitter } from "@lopper/search";
import { captureGram, localMoments } from "./local_fits.ts";
import { advance, type BatchedText, begin, type Pass } from "./pass.ts";
import { drop, exchange, type Projections, type RefitModel, stored } from "./projections.ts";
import { fitOf } from "./refit.ts";

/**
 * The ridge by which candidates are fitted, as a share of the mean diagonal of a Gram matrix: that
 * of a recovery is chosen in the end, and those about it say nearly the same.
 */
const LAMBDA = 0.1;

/**
 * Fits of single candidates to what their dense block writes, as `localFits` has them for a whole
 * plan: one pass of the dense model goes along with them, and the equations of a block serve all
 * its candidates. A block behind the pass is met by another one.
 */
export class LocalFitter implements Fitter {
  readonly #model: Omit<RefitModel, "shape">;
  readonly #products: Products;
  readonly #text: BatchedText;
  /** How far the dense text is, and the Gram matrix of the block before that. */
  #pass: Pass | null = null;
  #gram: Matrix | null = null;
  #undo: (() => Promise<unknown>) | null = null;

  constructor(model: Omit<RefitModel, "shape">, products: Products, text: BatchedText) {
    this.#model = model;
    this.#products = products;
    this.#text = text;
  }

  async put({ shape, first: block }: Parameters<Fitter["put"]>[0]) {
    const { decoder, dtypeOf } = this.#model;
    const described = decoder.blocks[block];
    if (!shape[block] || !hasOutputProjection(described)) return;
    const model = { ...this.#model, shape };
    const gram = await this.#gramOf(block, model);
    const { moments, rows } = await localMoments(model, this.#products, block, gram);
    const dtype = dtypeOf(described);
    const fit = await fitOf(this.#products, moments, { rows, dtype }, LAMBDA);
    if (!fit) return;
    const { workspace } = decoder.weights;
    const fits: Projections = new Map([[block, await stored(workspace, dtype, fit.rows)]]);
    const before = await exchange(model, fits);
    drop(fits);
    this.#undo = async () => {
      drop(await exchange(model, before));
      drop(before);
    };
  }

  async restore() {
    await this.#undo?.();
    this.#undo = null;
  }

  async #gramOf(block: number, model: RefitModel): Promise<Matrix> {
    if (this.#pass?.block === block + 1 && this.#gram) return this.#gram;
    this.#gram = null;
    if (!this.#pass || this.#pass.block > block) {
      this.#pass?.states.drop();
      this.#pass = await begin(model.decoder, this.#text);
    }
    await advance(model.decoder, denseShape(model.decoder.blocks), this.#pass, block);
    this.#gram = await captureGram(model, this.#products, this.#pass);
    return this.#gram;
  }
}
