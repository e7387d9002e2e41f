import { GramSum, type Matrix, matrix, Products } from "@lopper/algebra";
import type { Backend } from "@lopper/backends";
import { type Block, denseShape, hasOutputProjection, outputProjection } from "@lopper/core";
import { BLOCK_GRIDS, type GridName, type TensorStore } from "@lopper/formats";
import {
  addCaptured,
  addTokens,
  batchNumbers,
  type CalibrationSet,
  embeddedBatches,
} from "@lopper/importance";
import { type Model, type Weight, weightsOfBlock } from "@lopper/models";
import { Decoder, type KeptStates, LaidOutWeights } from "@lopper/runtime";
import { feedbackOf, noFeedback, type Rounded, roundedWithFeedback } from "./gptq.ts";

/** What matrices are rounded by. */
export interface Learnt {
  readonly backend: Backend;
  /** Text whose activations say which errors count. */
  readonly text: CalibrationSet;
  /** Hears of the number of each block before it is rounded; may throw to stop. */
  readonly onBlock?: (block: number) => void;
}

export interface RoundingTask extends Learnt {
  readonly model: Model;
  /** The type that a matrix is rounded to; null where it is not. */
  readonly typeOf: (weight: Weight) => GridName | null;
}

/**
 * Rounds the matrices of a model block by block, with errors passed on (`roundedWithFeedback`).
 * What enters a matrix comes from a text that runs through the blocks before it as they are
 * rounded, and so do the inputs of a block's last projection from those before it. In memory are a
 * layer, the hidden states of the text, and the Gram matrix of a block's inputs with its factors.
 */
export class BlockRounder {
  readonly #task: RoundingTask;
  readonly #products: Products;
  /** The text before the block `#next`, batch by batch. */
  #hidden: KeptStates | null = null;
  #next = 0;
  /** Of the layer that the last block belongs to, by the names of tensors. */
  readonly #rounded = new Map<string, Rounded>();
  #layer = -1;
  #nearest = 0;
  #count = 0;

  constructor(task: RoundingTask) {
    this.#task = task;
    this.#products = new Products(task.backend);
  }

  /**
   * The blocks of a matrix, row by row; null where nothing is known of its inputs. Layers are asked
   * for in their order.
   * @throws {TypeError} when its layer has passed.
   */
  async bytesOf({ role, tensor }: Weight): Promise<Uint8Array | null> {
    if (!("layer" in role)) return null;
    const { blocks } = this.#task.model.architecture;
    const number = blocks.findIndex(({ layer, kind }) =>
      layer === role.layer && kind === role.part
    );
    if (role.layer < this.#layer) throw new TypeError(`the layer of ${tensor.name} has passed`);
    while (this.#next <= number) await this.#round(this.#next);
    const found = this.#rounded.get(tensor.name)?.bytes ?? null;
    if (found) this.#count += 1;
    else this.#nearest += 1;
    return found;
  }

  /** Matrices that were rounded here so far. */
  get roundedCount(): number {
    return this.#count;
  }

  /** Those that were asked for, and of whose inputs nothing is known. */
  get nearestCount(): number {
    return this.#nearest;
  }

  async [Symbol.asyncDispose]() {
    await this.#products.dispose();
  }

  async #round(number: number) {
    const { model, onBlock } = this.#task;
    onBlock?.(number);
    const block = model.architecture.blocks[number];
    if (block.layer !== this.#layer) this.#rounded.clear();
    this.#layer = block.layer;
    this.#hidden ??= await this.#embedded();
    if (!block.routing) {
      const { first, last } = projectionsOf(model, block);
      if (first.length > 0) await this.#roundBy(first, await this.#gramOf(number, "entering"));
      if (last.length > 0) await this.#roundBy(last, await this.#gramOf(number, "captured"));
    }
    // Nothing reads what leaves the last block.
    if (number + 1 < model.architecture.blocks.length) await this.#pass(number);
    this.#next = number + 1;
  }

  async #embedded(): Promise<KeptStates> {
    const { text } = this.#task;
    return await this.#with(
      "outer",
      (decoder) => embeddedBatches(decoder, text, batchNumbers(text, {})),
    );
  }

  async #gramOf(number: number, what: "entering" | "captured"): Promise<Matrix> {
    const { layer } = this.#task.model.architecture.blocks[number];
    return await this.#with({ layer }, async (decoder) => {
      const gram = new GramSum(this.#products);
      const shape = denseShape(decoder.blocks);
      for (let b = 0; b < this.#hidden!.length; b++) {
        const input = await this.#hidden!.read(b);
        if (what === "captured") await addCaptured(gram, decoder, shape, number, input);
        else await addTokens(gram, input, await decoder.blockInput(number, input));
      }
      return gram.take();
    });
  }

  async #pass(number: number) {
    const { layer } = this.#task.model.architecture.blocks[number];
    const hidden = this.#hidden!;
    await this.#with({ layer }, async (decoder) => {
      const shape = denseShape(decoder.blocks);
      for (let b = 0; b < hidden.length; b++) {
        await hidden.put(b, await decoder.runBlock(number, shape, await hidden.read(b)));
      }
    });
  }

  async #roundBy(weights: readonly Weight[], gram: Matrix) {
    const { model, typeOf } = this.#task;
    const feedback = await feedbackOf(this.#products, gram);
    if (!feedback) return;
    for (const weight of weights) {
      const type = typeOf(weight);
      const { name, shape: [rows, columns] } = weight.tensor;
      if (!type || columns !== gram.rows) continue;
      const values = matrix(rows, columns, await model.store.readFloat32(name));
      const grid = BLOCK_GRIDS[type];
      const passing = isOfValues(weight) ? noFeedback(columns) : feedback;
      const found = await roundedWithFeedback(this.#products, grid, values, passing);
      this.#rounded.set(name, found);
    }
  }

  /** With a part of the model as far as it is rounded. */
  async #with<T>(
    only: { readonly layer: number } | "outer",
    use: (decoder: Decoder) => Promise<T>,
  ): Promise<T> {
    const { model, backend } = this.#task;
    const store = replacing(model.store, this.#rounded);
    const weights = await LaidOutWeights.load({ ...model, store }, { only });
    await using decoder = new Decoder(backend, weights);
    return await use(decoder);
  }
}

/**
 * Whether errors of a matrix may not be passed on by a mean over tokens: most of what the others
 * attend to is the first token of a text (Xiao et al., arXiv 2309.17453), whose values come from
 * inputs like no other's. Where these are one in hundreds, errors are put just there.
 */
function isOfValues({ role }: Weight): boolean {
  return "layer" in role && role.part === "attention" && role.weight === "v";
}

/** The matrices of a block that read what enters it, and that which reads what they made. */
function projectionsOf(model: Model, block: Block) {
  const tensors = weightsOfBlock(model, block);
  const last = hasOutputProjection(block) ? outputProjection(block).name : null;
  const matrices = block.weights.flatMap(({ name, axes, stacked }) => {
    if (stacked || axes.length !== 2) return [];
    const tensor = tensors.get(name)!;
    const role = { part: block.kind, layer: block.layer, weight: name } as const;
    return [{ role, tensor }];
  });
  return {
    first: matrices.filter(({ role }) => role.weight !== last),
    last: matrices.filter(({ role }) => role.weight === last),
  };
}

/** A store with other values for some matrices. */
function replacing(store: TensorStore, by: ReadonlyMap<string, Rounded>): TensorStore {
  return {
    tensors: store.tensors,
    readFloat32: async (name) => by.get(name)?.values ?? await store.readFloat32(name),
    readHalves: (name) => store.readHalves(name),
    readBytes: (...of) => store.readBytes(...of),
    close: () => {},
  };
}
