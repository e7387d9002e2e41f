import { Products } from "@lopper/algebra";
import {
  type Block,
  denseShape,
  type FloatDType,
  mean,
  outputProjection,
  refOf,
  type Shape,
} from "@lopper/core";
import { type CalibrationSet, DensePredictions } from "@lopper/importance";
import type { Decoder } from "@lopper/runtime";
import { type BlockRepair, type Cost, costBetween, type RepairLine } from "@lopper/search";
import { fitBatches, momentsOf } from "./moments.ts";
import { advance, batched, begin, lossOf, type Pass, type PassPair } from "./pass.ts";
import { bestFit, type Fit, fitOf, LAMBDAS, type Projection } from "./refit.ts";
import { type Stop, stopsOf } from "./stops.ts";

export interface CourseOptions {
  /** Its weights are repaired in place; they begin as the checkpoint has them, kept units first. */
  readonly decoder: Decoder;
  /** What the plan leaves. */
  readonly shape: Shape;
  readonly steps: number;
  /** Text that weights are fitted on, of `repairTokens` at most for `repairBytes` to hold. */
  readonly learn: CalibrationSet;
  /** Text that each repair is chosen on. */
  readonly choose: CalibrationSet;
  readonly batchTokens: number;
  /** Each repair is judged by how far predictions are from the dense model's, as `divergedNll` has it, instead of by the NLL. */
  readonly againstDense: boolean;
  /** The dtype in which the checkpoint has the output projection of a block. */
  readonly dtypeOf: (block: Block) => FloatDType;
  /** Lines of an earlier run; they are believed. */
  readonly recorded: readonly RepairLine[];
  readonly measure: () => Cost;
  /** Hears of the blocks done and those to do; may throw to stop. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What is new, or was recorded before. */
export interface RepairEvent {
  readonly line: RepairLine;
  readonly resumed: boolean;
}

/** What became of the blocks, one by one. */
export interface CourseResult {
  /** Numbers of the blocks whose output projection changed. */
  readonly repaired: readonly number[];
  readonly tried: number;
}

/** Both texts on their way. */
interface Texts {
  readonly learn: PassPair;
  readonly choose: PassPair;
}

/**
 * Goes through both models block by block, and refits the output projection of every block that stays where something is
 * gone. A refit stays in the decoder's weights if the mean loss on the text to choose on falls.
 */
export async function* refitBlocks(
  options: CourseOptions,
): AsyncGenerator<RepairEvent, CourseResult> {
  const { decoder, shape, measure } = options;
  const lines = options.recorded.filter((line) => line.steps === options.steps);
  const judged = lines.some((line) => line.type === "verdict");
  const repaired: number[] = [];
  let tried = 0;
  let loss: readonly number[] | null = null;
  const refits = await BlockRefits.begin(options);
  try {
    for (const stop of stopsOf(decoder.blocks, shape)) {
      const { layer, kind } = decoder.blocks[stop.block];
      options.onProgress?.(stop.block, shape.length);
      const started = measure();
      await refits.denseTo(stop.next);
      const known = lines.find((line): line is BlockRepair =>
        line.type === "repair" && line.layer === layer && line.kind === kind
      );
      if (stop.refit && (known || !judged)) {
        if (known) yield { line: known, resumed: true };
        if (known?.kept) await refits.again(stop, known.lambda);
        const line: BlockRepair | null = known ?? await refits.attempt(stop, loss, started);
        if (line) {
          tried += 1;
          if (line.kept) repaired.push(stop.block);
          loss = line.kept ? line.after : line.before;
          if (!known) yield { line, resumed: false };
        }
      }
      await refits.prunedTo(stop.next);
    }
    return { repaired, tried };
  } finally {
    await refits.dispose();
  }
}

/** Refits of blocks, and the texts that go through both models to reach them. */
class BlockRefits {
  readonly #options: CourseOptions;
  readonly #products: Products;
  readonly #predictions: DensePredictions | undefined;
  #texts: Texts;

  private constructor(
    options: CourseOptions,
    predictions: DensePredictions | undefined,
    texts: Texts,
  ) {
    this.#options = options;
    this.#products = new Products(options.decoder.backend);
    this.#predictions = predictions;
    this.#texts = texts;
  }

  /** Before the first block. */
  static async begin(options: CourseOptions): Promise<BlockRefits> {
    const { decoder, batchTokens, againstDense } = options;
    const learn = batched(options.learn, batchTokens);
    const choose = batched(options.choose, batchTokens);
    const predictions = againstDense
      ? await new DensePredictions(decoder, choose.set, choose.batches).prepare()
      : undefined;
    const twice = (pass: Pass): PassPair => ({ dense: pass, pruned: pass });
    return new BlockRefits(options, predictions, {
      learn: twice(await begin(decoder, learn)),
      choose: twice(await begin(decoder, choose)),
    });
  }

  async denseTo(block: number) {
    await this.#move("dense", denseShape(this.#options.decoder.blocks), block);
  }

  async prunedTo(block: number) {
    await this.#move("pruned", this.#options.shape, block);
  }

  /** Does what was recorded: the same fit, found again. */
  async again({ block }: Stop, lambda: number) {
    const [fit] = await this.#fits(block, [lambda]);
    this.#put(block, fit.rows);
  }

  /**
   * Fits the projection of a block and judges the fit; what does not help is taken back. Null where nothing fits.
   * @param known loss of each sequence that is chosen on, as it is before; null where it has to be found.
   */
  async attempt(
    { block, folded }: Stop,
    known: readonly number[] | null,
    started: Cost,
  ): Promise<BlockRepair | null> {
    const { decoder, shape, steps, measure } = this.#options;
    const { choose } = this.#texts;
    const fits = await this.#fits(block, LAMBDAS);
    const best = await bestFit(this.#products, fits, fitBatches(decoder, shape, choose));
    if (!best) return null;
    const { lambda, rows } = best;
    const before = known ?? await this.#loss();
    const old = this.#put(block, rows);
    const after = await this.#loss();
    const kept = mean(after) < mean(before);
    if (!kept) this.#put(block, old);
    const cost = costBetween(started, measure());
    const ref = refOf(decoder.blocks[block]);
    return { type: "repair", steps, ...ref, folded, lambda, before, after, kept, cost };
  }

  dispose(): Promise<void> {
    return this.#products.dispose();
  }

  /** Those of the fits that there are. */
  async #fits(block: number, lambdas: readonly number[]): Promise<readonly Fit[]> {
    const { decoder, shape } = this.#options;
    const moments = await momentsOf(
      this.#products,
      fitBatches(decoder, shape, this.#texts.learn),
    );
    const fits: Fit[] = [];
    for (const lambda of lambdas) {
      const fit = await fitOf(this.#products, moments, this.#projection(block), lambda);
      if (fit) fits.push(fit);
    }
    return fits;
  }

  /** As it is now; good until the decoder runs. */
  #projection(block: number): Projection {
    const { decoder, shape, dtypeOf } = this.#options;
    const described = decoder.blocks[block];
    const projection = outputProjection(described).name;
    const { data } = decoder.weights.block(block, shape[block]!)
      .find(({ name }) => name === projection)!;
    return { rows: data, dtype: dtypeOf(described) };
  }

  /** Puts a projection in the place of another, which it returns. */
  #put(block: number, rows: Float32Array): Float32Array {
    const { decoder, shape } = this.#options;
    return decoder.weights.replaceOutput(block, shape[block]!, rows);
  }

  #loss(): Promise<readonly number[]> {
    const { decoder, shape } = this.#options;
    return lossOf(decoder, shape, this.#texts.choose.pruned, this.#predictions);
  }

  async #move(model: keyof PassPair, shape: Shape, end: number) {
    const { decoder } = this.#options;
    // One text after the other: what it was is let go of before the next one moves.
    for (const name of ["learn", "choose"] as const) {
      const pair = this.#texts[name];
      const moved = await advance(decoder, shape, pair[model], end);
      this.#texts = { ...this.#texts, [name]: { ...pair, [model]: moved } };
    }
  }
}
