import type { OuterPart } from "@lopper/core";
import { type Model, outerWeight } from "@lopper/models";
import { readStored, type StoredTensor } from "./stored_tensor.ts";
import { partOf } from "./weight_memory.ts";

/** Weights of the head that are no matrices, with the names under which graphs are fed them. */
const HEAD_VECTORS: readonly (readonly [OuterPart, string])[] = [
  ["finalNorm", "norm"],
  ["finalNormBias", "norm_bias"],
  ["lmHeadBias", "lm_head_bias"],
];

/** What lies outside the blocks. */
export interface OuterWeights {
  /** `[vocabSize, hiddenSize]`, as the LM head is. */
  readonly embedding: StoredTensor;
  readonly lmHead: StoredTensor;
  /** Gain and bias of the final norm, and the bias of the LM head, by the names of their feeds. */
  readonly headVectors: Readonly<Record<string, Float32Array>>;
  /** Learned positions, `[rows, hiddenSize]`; null where there are none. */
  readonly positions: Float32Array | null;
}

/**
 * Reads what lies outside the blocks of a model.
 * @param kept parts that are held in float32, as `partOf` names them.
 * @param isWanted whether its matrices are used; without that they are empty.
 */
export async function readOuterWeights(
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
  return {
    embedding,
    lmHead: architecture.tiedEmbeddings ? embedding : await matrix("lmHead"),
    headVectors,
    positions: isWanted ? await vector("positions") : null,
  };
}
