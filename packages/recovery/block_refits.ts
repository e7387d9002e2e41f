import type { Products } from "@lopper/algebra";
import { denseShape, mean, type Shape } from "@lopper/core";
import type { BatchLosses, Criterion } from "@lopper/importance";
import { type Fitted, fittedOf } from "./fitted.ts";
import {
  advance,
  batched,
  type BatchedText,
  begin,
  lossesOf,
  lossOf,
  type PassPair,
} from "./pass.ts";
import { during, exchange, type Projections, type RefitModel } from "./projections.ts";
import { type Fit, LAMBDAS } from "./refit.ts";
import type { RefitStart, RefitTexts } from "./refit_task.ts";

/** Both texts on their way. */
interface Passes {
  readonly calibration: PassPair;
  readonly validation: PassPair;
}

/** What became of a refit. */
export interface Attempt {
  readonly lambda: number;
  /** Loss of each sequence that is chosen on, without the refit and with it. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly kept: boolean;
}

/** Refits of blocks, and the texts that go through both models to reach them. */
export class BlockRefits {
  readonly #model: RefitModel;
  readonly #products: Products;
  readonly #losses: BatchLosses;
  readonly #passes: Passes;
  /** Projections of the checkpoint in whose place others were put at the beginning. */
  readonly #checkpoint: Projections;

  private constructor(
    model: RefitModel,
    products: Products,
    losses: BatchLosses,
    passes: Passes,
    checkpoint: Projections,
  ) {
    this.#model = model;
    this.#products = products;
    this.#losses = losses;
    this.#passes = passes;
    this.#checkpoint = checkpoint;
  }

  /** Before the first block, with the weights of the checkpoint. */
  static async begin(
    model: RefitModel,
    { calibration, validation, batchTokens }: RefitTexts,
    criterion: Criterion,
    { products, from }: RefitStart,
  ): Promise<BlockRefits> {
    const { decoder } = model;
    const learnt = batched(calibration, batchTokens);
    const chosenOn = batched(validation, batchTokens);
    const losses = lossesOf(chosenOn, { criterion, dense: decoder });
    await losses.prepare();
    const both = async (text: BatchedText): Promise<PassPair> => ({
      dense: await begin(decoder, text),
      pruned: await begin(decoder, text),
    });
    const passes = { calibration: await both(learnt), validation: await both(chosenOn) };
    return new BlockRefits(model, products, losses, passes, await exchange(model, from));
  }

  async denseTo(end: number) {
    const { block } = this.#passes.calibration.dense;
    const passed = new Map(
      [...this.#checkpoint].filter(([number]) => number >= block && number < end),
    );
    const whole = denseShape(this.#model.decoder.blocks);
    await during(this.#model, passed, () => this.#move("dense", whole, end));
  }

  async prunedTo(block: number) {
    await this.#move("pruned", this.#model.shape, block);
  }

  /** Does what was recorded: the same fit, found again. */
  async again(block: number, lambda: number) {
    this.#model.decoder.weights.release();
    const fitted = this.#fitted(block);
    const [fit] = await fitted.fits(this.#passes.calibration, [lambda]);
    await fitted.put(fit.rows);
  }

  /**
   * Fits what a block writes by and judges the fit; what does not help is taken back. Null where
   * nothing fits.
   * @param known loss of each sequence that is chosen on, as it is before; null where it has to be
   *   found.
   */
  async attempt(block: number, known: readonly number[] | null): Promise<Attempt | null> {
    const best = await this.#best(block);
    if (!best) return null;
    const fitted = this.#fitted(block);
    const before = known ?? await this.#loss();
    const old = await fitted.put(best.rows);
    const after = await this.#loss();
    const kept = mean(after) < mean(before);
    if (!kept) await fitted.put(old);
    return { lambda: best.lambda, before, after, kept };
  }

  /** Lets the texts go. */
  [Symbol.dispose]() {
    for (const { dense, pruned } of Object.values(this.#passes)) {
      dense.states.drop();
      pruned.states.drop();
    }
  }

  /** The fit with the smallest error on the text to choose on; nothing stays of the others. */
  async #best(block: number): Promise<Pick<Fit, "lambda" | "rows"> | null> {
    // Equations take the place of what the head was expanded in.
    this.#model.decoder.weights.release();
    const fitted = this.#fitted(block);
    const fits = await fitted.fits(this.#passes.calibration, LAMBDAS);
    const best = await fitted.best(fits, this.#passes.validation);
    return best && { lambda: best.lambda, rows: best.rows };
  }

  #fitted(block: number): Fitted {
    return fittedOf(this.#model, this.#products, block);
  }

  #loss(): Promise<readonly number[]> {
    const { decoder, shape } = this.#model;
    return lossOf(decoder, shape, this.#passes.validation.pruned, this.#losses);
  }

  async #move(model: keyof PassPair, shape: Shape, end: number) {
    const { decoder } = this.#model;
    for (const pair of Object.values(this.#passes)) {
      await advance(decoder, shape, pair[model], end);
    }
  }
}
