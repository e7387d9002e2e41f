import { type Block, DTYPE_BYTES, isExpertOutput } from "@lopper/core";
import { scaledBy, type TensorInfo, toFloat32 } from "@lopper/formats";
import { type Model, weightsOfBlock } from "@lopper/models";
import { copyValues, readStored, storedPart, type StoredTensor } from "./stored_tensor.ts";

/** One weight of an expert in float32, without the axis of experts. */
export interface ExpertWeight {
  readonly name: string;
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** A stacked weight, in memory or in the file. */
interface Stacked {
  readonly name: string;
  /** Experts write by it. */
  readonly isOutput: boolean;
  readonly tensor: TensorInfo;
  /** Null where it stays in the file. */
  readonly held: StoredTensor | null;
}

/**
 * The weights of the experts of one block, in the order of the checkpoint: held in memory, or read
 * from the file expert by expert whenever tokens go to one.
 */
export class ExpertWeights {
  /** Bytes as they are held. */
  readonly bytes: number;
  readonly #model: Model;
  readonly #stacked: readonly Stacked[];
  /** What outputs are multiplied with, by the numbers of experts in the checkpoint; else 1. */
  readonly #scales = new Map<number, number>();

  private constructor(model: Model, stacked: readonly Stacked[]) {
    this.#model = model;
    this.#stacked = stacked;
    this.bytes = stacked.reduce((sum, { held }) => sum + (held?.data.byteLength ?? 0), 0);
  }

  /**
   * @param options.float32 whether halves are held in float32.
   * @throws {CheckpointFormatError} when a weight that is held is NaN or infinite.
   */
  static async load(
    model: Model,
    block: Block,
    { held, float32 }: { readonly held: boolean; readonly float32: boolean },
  ): Promise<ExpertWeights> {
    const tensors = weightsOfBlock(model, block);
    const stacked: Stacked[] = [];
    for (const weight of block.weights.filter((weight) => weight.stacked)) {
      const { name } = weight;
      const tensor = tensors.get(name)!;
      const stored = held ? await readStored(model, tensor, { float32 }) : null;
      stacked.push({ name, isOutput: isExpertOutput(weight), tensor, held: stored });
    }
    return new ExpertWeights(model, stacked);
  }

  /**
   * The weights of an expert.
   * @param unit its number in the checkpoint.
   * @param scratch gives room for values that are not float32 in memory.
   * @throws {CheckpointFormatError} when a weight that is read now is NaN or infinite.
   */
  async expert(
    unit: number,
    scratch: (values: number) => Float32Array,
  ): Promise<readonly ExpertWeight[]> {
    const read: ExpertWeight[] = [];
    const scale = this.#scales.get(unit) ?? 1;
    for (const { name, isOutput, tensor, held } of this.#stacked) {
      const dims = tensor.shape.slice(1);
      const count = dims.reduce((product, d) => product * d, 1);
      const from = held ?? await this.#read(tensor, unit, count);
      const first = held ? unit * count : 0;
      let data: Float32Array;
      if (from.dtype === "F32") {
        data = from.data.subarray(first, first + count);
      } else {
        data = scratch(count);
        copyValues(from, first, data);
      }
      if (isOutput && scale !== 1) {
        data = toFloat32(tensor.dtype, scaledBy(tensor.dtype, data, scale));
      }
      read.push({ name, dims, data });
    }
    return read;
  }

  /** What the outputs of these experts are multiplied with. */
  scales(units: readonly number[]): Float32Array {
    return Float32Array.from(units, (unit) => this.#scales.get(unit) ?? 1);
  }

  /** Multiplies with others, and returns those of before. */
  scale(units: readonly number[], scales: Float32Array): Float32Array {
    const before = this.scales(units);
    if (scales.length !== before.length) {
      throw new RangeError(`${scales.length} factors are not for ${before.length} experts`);
    }
    units.forEach((unit, i) => this.#scales.set(unit, scales[i]));
    return before;
  }

  async #read(tensor: TensorInfo, unit: number, count: number): Promise<StoredTensor> {
    const length = count * DTYPE_BYTES[tensor.dtype];
    const bytes = await this.#model.store.readBytes(tensor.name, unit * length, length);
    return storedPart(tensor, bytes, unit * count);
  }
}
