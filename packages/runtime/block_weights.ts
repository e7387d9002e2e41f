import type { Block, KeptUnits } from "@lopper/core";
import type { Model } from "@lopper/models";
import { type LaidOutBlock, type LaidOutWeight, layOutBlock, moveUnits } from "./laid_out_block.ts";

export interface BlockReading {
  /** Whether they stay in memory. */
  readonly held: boolean;
  /** Whether halves are held in float32. */
  readonly float32: boolean;
}

/**
 * The weights of one block that are not stacked, laid out by a ranking: in memory, or in the file,
 * from which they are read for every use.
 */
export class BlockWeights {
  readonly #model: Model;
  readonly #block: Block;
  /** By their names. */
  readonly #held: LaidOutBlock;

  private constructor(model: Model, block: Block, held: LaidOutBlock) {
    this.#model = model;
    this.#block = block;
    this.#held = held;
  }

  /**
   * @param units how they are laid out, where they are held.
   * @throws {CheckpointFormatError} when a weight that is held is NaN or infinite.
   */
  static async load(
    model: Model,
    block: Block,
    units: KeptUnits,
    { held, float32 }: BlockReading,
  ): Promise<BlockWeights> {
    const weights = held ? await layOutBlock(model, block, units, { float32 }) : new Map();
    return new BlockWeights(model, block, weights);
  }

  /** Those in memory. */
  get held(): Iterable<LaidOutWeight> {
    return this.#held.values();
  }

  /**
   * All of them, or those that are named.
   * @param units how they are laid out.
   * @throws {CheckpointFormatError} when a weight that is read now is NaN or infinite.
   */
  async all(units: KeptUnits, names?: readonly string[]): Promise<LaidOutBlock> {
    const isWanted = (name: string) => names?.includes(name) ?? true;
    const held = [...this.#held].filter(([name]) => isWanted(name));
    const weights = this.#block.weights
      .filter(({ name }) => isWanted(name) && !this.#held.has(name));
    const block = { ...this.#block, weights };
    return new Map([
      ...await layOutBlock(this.#model, block, units, { float32: false }),
      ...held,
    ]);
  }

  /** One of them, which is in memory from now on; else as `all`. */
  async keep(name: string, units: KeptUnits): Promise<LaidOutWeight> {
    const weight = (await this.all(units, [name])).get(name)!;
    this.#held.set(name, weight);
    return weight;
  }

  /** Lays those in memory out in another ranking of a dimension, as `moveUnits` does. */
  move(dimension: string, was: readonly number[], is: readonly number[]) {
    moveUnits(this.#held, { declared: this.#block, dimension, was, is });
  }
}
