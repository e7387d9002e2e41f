import type { Block, KeptUnits, Ranking } from "@lopper/core";
import { BlockRoom } from "./block_room.ts";
import type { BlockWeights } from "./block_weights.ts";
import type { LaidOutBlock, LaidOutWeight } from "./laid_out_block.ts";
import { placesOf } from "./unit_places.ts";

/**
 * The weights of blocks by their numbers. Of those that stay in the file, the block that was read
 * last is there until another one is: batches go through it one after the other.
 */
export class ReadBlocks {
  readonly #blocks: ReadonlyMap<number, BlockWeights>;
  /** Those that stay in the file, in their order. */
  readonly #inFile: readonly number[];
  readonly #room = new BlockRoom();
  /** The block that was read before. */
  #before: number | null = null;
  #last: { readonly number: number; readonly all: LaidOutBlock } | null = null;

  /** @param blocks those are missing that were not read. */
  constructor(blocks: ReadonlyMap<number, BlockWeights>) {
    this.#blocks = blocks;
    this.#inFile = [...blocks].flatMap(([number, { isHeld }]) => isHeld ? [] : [number]);
  }

  /** How many of them stay in the file. */
  get inFile(): number {
    return this.#inFile.length;
  }

  /** @throws {TypeError} when the block was not read. */
  of(number: number): BlockWeights {
    const weights = this.#blocks.get(number);
    if (!weights) throw new TypeError(`the weights of block ${number} were not read`);
    return weights;
  }

  /**
   * All weights of a block, or those that are named.
   * @param units how they are laid out: as they were when the block was read, until `forget`.
   * @throws {CheckpointFormatError} when a weight that is read now is NaN or infinite.
   */
  async all(
    number: number,
    units: KeptUnits,
    names?: readonly string[],
  ): Promise<Iterable<readonly [name: string, LaidOutWeight]>> {
    const weights = this.of(number);
    const isThere = this.#last?.number === number;
    if (weights.isHeld || names && !isThere) return await weights.all(units, names);
    if (!isThere) {
      // It takes the place of the one before.
      this.#last = null;
      this.#last = { number, all: await weights.all(units, undefined, this.#room) };
      await this.#readAhead(number);
    }
    const { all } = this.#last!;
    return names ? [...all].filter(([name]) => names.includes(name)) : all;
  }

  /** Where two blocks were read in their order, the next one will be, too. */
  async #readAhead(number: number) {
    const place = this.#inFile.indexOf(number);
    const isInOrder = place > 0 && this.#inFile[place - 1] === this.#before;
    this.#before = number;
    const next = this.#inFile[place + 1];
    if (isInOrder && next !== undefined) await this.of(next).readAhead(this.#room);
  }

  /**
   * Lays the units of those in memory out by another ranking.
   * @throws {RangeError} when it is not one of the same units.
   */
  rearrange(declared: readonly Block[], before: Ranking, ranking: Ranking) {
    const moves = [...this.#blocks].flatMap(([number, block]) =>
      declared[number].dimensions.flatMap(({ name }) => {
        const was = before[number]![name], is = ranking[number]?.[name] ?? [];
        const places = placesOf(was, is, `${name} of block ${declared[number].id}`);
        const stays = places.every((place, i) => place === i);
        return stays ? [] : [{ block, dimension: name, was, is }];
      })
    );
    for (const { block, dimension, was, is } of moves) block.move(dimension, was, is);
    this.forget();
  }

  /** Lets the block go that was read last: it would be another one now. */
  forget() {
    this.#last = null;
  }

  /** Gives its memory back until a block is read again. */
  release() {
    this.forget();
    this.#room.release();
  }
}
