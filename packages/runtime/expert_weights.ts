import { type Block, DTYPE_BYTES, isExpertOutput, ownedAxis } from "@lopper/core";
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
  /** Of one expert, the axis along which its own channels lie; undefined where none is. */
  readonly along: number | undefined;
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
      const owned = ownedAxis(weight);
      stacked.push({
        ...{ name, tensor, held: stored },
        isOutput: isExpertOutput(weight),
        along: owned && owned.at - 1,
      });
    }
    return new ExpertWeights(model, stacked);
  }

  /**
   * The weights of an expert.
   * @param unit its number in the checkpoint.
   * @param kept its channels that are there, ascending; null for all of them.
   * @param scratch gives room for values that are not float32 in memory.
   * @throws {CheckpointFormatError} when a weight that is read now is NaN or infinite.
   */
  async expert(
    unit: number,
    kept: Uint32Array | null,
    scratch: (values: number) => Float32Array,
  ): Promise<readonly ExpertWeight[]> {
    const read: ExpertWeight[] = [];
    const scale = this.#scales.get(unit) ?? 1;
    for (const { name, isOutput, along, tensor, held } of this.#stacked) {
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
      const whole = { name, dims, data };
      read.push(kept && along !== undefined ? narrowed(whole, along, kept) : whole);
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

/** What is left of a matrix or a bias where these places stay along one of its axes. */
function narrowed(
  { name, data, dims }: ExpertWeight,
  along: number,
  kept: Uint32Array,
): ExpertWeight {
  const left = dims.with(along, kept.length);
  const run = dims.slice(along + 1).reduce((product, d) => product * d, 1);
  const outer = dims.slice(0, along).reduce((product, d) => product * d, 1);
  const out = new Float32Array(outer * kept.length * run);
  let to = 0;
  for (let row = 0; row < outer; row++) {
    const start = row * dims[along] * run;
    for (const place of kept) {
      const from = start + place * run;
      if (run === 1) out[to] = data[from];
      else out.set(data.subarray(from, from + run), to);
      to += run;
    }
  }
  return { name, data: out, dims: left };
}
