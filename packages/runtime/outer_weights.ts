import type { Architecture, OuterPart } from "@lopper/core";
import { type Model, outerWeight } from "@lopper/models";
import { copyValues, readStored, type StoredTensor } from "./stored_tensor.ts";
import { partOf } from "./weight_memory.ts";

/** Weights of the head that are no matrices, with the names under which graphs are fed them. */
const HEAD_VECTORS: readonly (readonly [OuterPart, string])[] = [
  ["finalNorm", "norm"],
  ["finalNormBias", "norm_bias"],
  ["lmHeadBias", "lm_head_bias"],
];

interface Parts {
  /** `[vocabSize, hiddenSize]`, as the LM head is. */
  readonly embedding: StoredTensor;
  readonly lmHead: StoredTensor;
  /** Gain and bias of the final norm, and the bias of the LM head, by the names of their feeds. */
  readonly headVectors: Readonly<Record<string, Float32Array>>;
  /** Learned positions, `[rows, hiddenSize]`; null where there are none. */
  readonly positions: Float32Array | null;
}

/** What lies outside the blocks. */
export class OuterWeights implements Parts {
  readonly embedding: StoredTensor;
  readonly lmHead: StoredTensor;
  readonly headVectors: Readonly<Record<string, Float32Array>>;
  readonly positions: Float32Array | null;
  readonly #architecture: Architecture;

  private constructor(architecture: Architecture, parts: Parts) {
    this.#architecture = architecture;
    this.embedding = parts.embedding;
    this.lmHead = parts.lmHead;
    this.headVectors = parts.headVectors;
    this.positions = parts.positions;
  }

  /**
   * Reads them.
   * @param kept parts that are held in float32, as `partOf` names them.
   * @param isWanted whether its matrices are used; without that they are empty.
   * @throws {CheckpointFormatError} when a weight is NaN or infinite.
   */
  static async read(
    model: Model,
    kept: ReadonlySet<string>,
    isWanted: boolean,
  ): Promise<OuterWeights> {
    const { architecture, store } = model;
    const matrix = async (part: "embedding" | "lmHead"): Promise<StoredTensor> =>
      isWanted
        ? await readStored(model, outerWeight(model, part), {
          float32: kept.has(partOf({ part }, architecture)),
        })
        : { dtype: "F32", data: new Float32Array(0) };
    const vector = async (part: OuterPart) =>
      architecture.outer.includes(part)
        ? await store.readFloat32(outerWeight(model, part).name)
        : null;
    const embedding = await matrix("embedding");
    const headVectors: Record<string, Float32Array> = {};
    for (const [part, name] of HEAD_VECTORS) {
      const values = await vector(part);
      if (values) headVectors[name] = values;
    }
    return new OuterWeights(architecture, {
      embedding,
      lmHead: architecture.tiedEmbeddings ? embedding : await matrix("lmHead"),
      headVectors,
      positions: isWanted ? await vector("positions") : null,
    });
  }

  /** Bytes of all of them as they are held. */
  get bytes(): number {
    const { headVectors, positions, embedding, lmHead } = this;
    const matrices = [...new Set([embedding, lmHead])].map(({ data }) => data);
    return [...Object.values(headVectors), ...positions ? [positions] : [], ...matrices]
      .reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /**
   * What enters the first block for `ids` at these positions, `[ids.length, hiddenSize]`.
   * @throws {RangeError} when an id is not in the vocabulary, or a position not a learned one.
   */
  embed(ids: readonly number[], positions: readonly number[]): Float32Array {
    const { hiddenSize, scaling = {} } = this.#architecture;
    const out = this.rowsOf(ids);
    if (scaling.embedding !== undefined) {
      const factor = Math.fround(scaling.embedding);
      for (let i = 0; i < out.length; i++) out[i] *= factor;
    }
    const table = this.positions;
    if (!table) return out;
    for (const [i, position] of positions.entries()) {
      const row = (position + (scaling.positionOffset ?? 0)) * hiddenSize;
      if (row + hiddenSize > table.length) {
        throw new RangeError(`the model has no position ${position}`);
      }
      for (let j = 0; j < hiddenSize; j++) out[i * hiddenSize + j] += table[row + j];
    }
    return out;
  }

  /**
   * The rows of the embedding of `ids`, `[ids.length, hiddenSize]`.
   * @throws {RangeError} when an id is not in the vocabulary.
   */
  rowsOf(ids: readonly number[]): Float32Array {
    const { hiddenSize, vocabSize } = this.#architecture;
    const out = new Float32Array(ids.length * hiddenSize);
    ids.forEach((id, i) => {
      if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
        throw new RangeError(`token id ${id} is not in the vocabulary, 0 to ${vocabSize - 1}`);
      }
      const row = out.subarray(i * hiddenSize, (i + 1) * hiddenSize);
      copyValues(this.embedding, id * hiddenSize, row);
    });
    return out;
  }
}
