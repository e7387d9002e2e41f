import type { Block, KeptUnits } from "@lopper/core";
import type { Model } from "@lopper/models";
import {
  halvesToLayOut,
  type LaidOutBlock,
  type LaidOutWeight,
  layOutBlock,
  moveUnits,
} from "./laid_out_block.ts";
import { storedBytes, type StoredDType, storedOf } from "./stored_tensor.ts";
import type { BlockRoom } from "./block_room.ts";
import type { KeptBytes, Workspace } from "./workspace.ts";

/** A weight in place of the checkpoint's, where that is not held. */
interface ReplacedWeight extends Omit<LaidOutWeight, "tensor"> {
  readonly dtype: StoredDType;
  readonly kept: KeptBytes;
  /** How it is laid out. */
  readonly units: KeptUnits;
}

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
  readonly #replaced = new Map<string, ReplacedWeight>();

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

  /** Whether all of them are in memory. */
  get isHeld(): boolean {
    return this.#held.size > 0;
  }

  /** Bytes of those in memory. */
  get bytes(): number {
    return [...this.#held.values()].reduce((sum, { tensor }) => sum + tensor.data.byteLength, 0);
  }

  /**
   * All of them, or those that are named.
   * @param units how they are laid out.
   * @param room takes those that are read now, and keeps them until another block is read.
   * @throws {CheckpointFormatError} when a weight that is read now is NaN or infinite.
   */
  async all(
    units: KeptUnits,
    names?: readonly string[],
    room?: BlockRoom,
  ): Promise<LaidOutBlock> {
    const isWanted = (name: string) => names?.includes(name) ?? true;
    const held = [...this.#held].filter(([name]) => isWanted(name));
    const inFile = this.#inFile(isWanted);
    const all = await layOutBlock(this.#model, inFile, units, { float32: false, room });
    for (const name of this.#replaced.keys()) {
      if (isWanted(name)) all.set(name, await this.#replacement(name, units));
    }
    return new Map([...all, ...held]);
  }

  /** Begins to read what `all` will read. */
  async readAhead(room: BlockRoom) {
    await room.read(this.#model, halvesToLayOut(this.#model, this.#inFile()));
  }

  /** The block with those weights that only the file has. */
  #inFile(isWanted: (name: string) => boolean = () => true): Block {
    const weights = this.#block.weights.filter(({ name }) =>
      isWanted(name) && !this.#held.has(name) && !this.#replaced.has(name)
    );
    return { ...this.#block, weights };
  }

  /**
   * Takes one of them that was changed: where it is not held, a workspace keeps it from now on.
   * @param units how it is laid out.
   */
  async replace(name: string, weight: LaidOutWeight, units: KeptUnits, workspace: Workspace) {
    if (this.#held.has(name)) return;
    this.#replaced.get(name)?.kept.drop();
    const { tensor, ...rest } = weight;
    const kept = await workspace.keep(storedBytes(tensor));
    this.#replaced.set(name, { ...rest, dtype: tensor.dtype, kept, units });
  }

  /** Lays those in memory out in another ranking of a dimension, as `moveUnits` does. */
  move(dimension: string, was: readonly number[], is: readonly number[]) {
    moveUnits(this.#held, { declared: this.#block, dimension, was, is });
  }

  async #replacement(name: string, now: KeptUnits): Promise<LaidOutWeight> {
    const { dtype, kept, units, ...rest } = this.#replaced.get(name)!;
    const found: LaidOutBlock = new Map([
      [name, { ...rest, tensor: storedOf(dtype, await kept.read()) }],
    ]);
    if (units === now) return found.get(name)!;
    for (const { name: dimension } of this.#block.dimensions) {
      const [was, is] = [units[dimension], now[dimension]];
      moveUnits(found, { declared: this.#block, dimension, was, is });
    }
    return found.get(name)!;
  }
}
