import type { Block, BlockSize } from "@lopper/core";
import { ownedUnits } from "./owned_units.ts";

/** How the units of a block lie, by dimension. */
type LyingUnits = Readonly<Record<string, readonly number[]>>;

/** Sums the energy of the channels that the experts of a mixture own, by the numbers of these. */
export class ChannelEnergy {
  /** By the number of the unit; 0 of those that are not there. */
  readonly sums: Float64Array;
  readonly #units: number;
  readonly #experts: readonly number[];
  readonly #kept: readonly Uint32Array[] | null;
  /** Those of what all tokens go through, as they lie. */
  readonly #shared: readonly number[];

  /** @throws {TypeError} when its experts own nothing. */
  constructor(block: Block, size: BlockSize, ranking: LyingUnits) {
    const [experts] = block.dimensions;
    const owned = block.dimensions.find(({ owners }) => owners !== undefined);
    if (!owned) throw new TypeError(`the experts of block ${block.id} own no channels`);
    this.#units = owned.units;
    this.#experts = ranking[experts.name];
    this.#kept = ownedUnits(block, size, ranking);
    const first = experts.units * owned.units;
    this.#shared = ranking[owned.name].filter((unit) => unit >= first);
    this.sums = new Float64Array(owned.units * owned.owners!);
  }

  /**
   * @param place of the expert, as they lie.
   * @param energy of the channels that are there, in the order of the checkpoint.
   */
  add(place: number, energy: Float32Array) {
    const expert = this.#experts[place], kept = this.#kept?.[expert];
    energy.forEach((value, i) => this.sums[expert * this.#units + (kept ? kept[i] : i)] += value);
  }

  /** @param energy of the first channels of what all tokens go through, as they lie. */
  addShared(energy: Float32Array) {
    if (this.#shared.length === 0) return;
    energy.forEach((value, i) => this.sums[this.#shared[i]] += value);
  }
}
