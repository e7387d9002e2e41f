import { type Architecture, DTYPE_BYTES, isFloatDType } from "@lopper/core";
import type { ModelConfig } from "./config_schema.ts";
import { fromFloat32, isHalf, type TensorInfo, type TensorStore, toFloat32 } from "@lopper/formats";
import type { Family } from "./families/family.ts";
import { bindWeights, isGuessing, type Weight } from "./model.ts";
import { sameBytes } from "./same_bytes.ts";

/** Bytes that are compared at a time: as many as are hashed at a time. */
const CHUNK_BYTES = 16 * 1024 * 1024;

/** A model with its weights, as they have it where its config says something else of its head. */
export interface BoundModel<Config> {
  readonly architecture: Architecture;
  readonly config: Config;
  readonly weights: readonly Weight[];
  /** A sentence where the two differ. */
  readonly notes: readonly string[];
}

/**
 * Finds the tensor of every weight. Where the config calls a model tied and its file has a head all
 * the same, the two matrices decide: the same numbers are tied; another head counts, as in
 * transformers 5, for whoever stored it computed with it.
 * @param where `file` is what has the weights, `description` what declares them, for messages.
 * @throws {CheckpointFormatError} as `bindWeights`.
 */
export async function bindModel<Config extends ModelConfig>(
  architecture: Architecture,
  config: Config,
  store: TensorStore,
  { family, file, description }: { family: Family; file: string; description: string },
): Promise<BoundModel<Config>> {
  const weights = bindWeights(architecture, family, store, file, description);
  const notes = guessNotes(architecture, family, store);
  const { embedding, lmHead } = family.tensorNames;
  const head = store.tensors.get(lmHead);
  const tied = architecture.tiedEmbeddings &&
    (!head || await sameValues(store, store.tensors.get(embedding)!, head));
  if (tied || !architecture.tiedEmbeddings) return { architecture, config, weights, notes };
  const untied = { ...architecture, tiedEmbeddings: false };
  return {
    architecture: untied,
    config: { ...config, tie_word_embeddings: false },
    weights: bindWeights(untied, family, store, file, description),
    notes: [
      ...notes,
      `${lmHead} is not the embedding, though by ${description} they are tied (tie_word_embeddings): the head is used, and what is ` +
      "written says that they are not tied",
    ],
  };
}

/** A sentence where a file has what guesses further tokens than the next. */
function guessNotes(
  architecture: Architecture,
  family: Family,
  { tensors }: Pick<TensorStore, "tensors">,
): readonly string[] {
  const found = [...tensors.keys()].filter((name) => isGuessing(name, architecture, family));
  if (found.length === 0) return [];
  return [
    `${found[0]} and ${
      found.length - 1
    } more tensors guess further tokens than the next: they are passed over, and what is ` +
    "written has none",
  ];
}

/**
 * Whether two matrices hold the same numbers; where one has fewer bits, those that the other's
 * become when they are rounded. A chunk of each is in memory at a time, and the first difference
 * ends it.
 */
export async function sameValues(
  store: Pick<TensorStore, "readBytes">,
  a: TensorInfo,
  b: TensorInfo,
  chunkBytes = CHUNK_BYTES,
): Promise<boolean> {
  const [rows, columns] = a.shape;
  if (a.shape.join() !== b.shape.join() || !isFloatDType(a.dtype) || !isFloatDType(b.dtype)) {
    return false;
  }
  // The same place of a file; a square matrix there may be read by rows and by columns.
  if (a.file === b.file && a.offset === b.offset && rows !== columns) return true;
  const chunk = Math.max(1, Math.floor(chunkBytes / (4 * columns)));
  for (let row = 0; row < rows; row += chunk) {
    const count = Math.min(chunk, rows - row) * columns;
    const read = ({ name, dtype }: TensorInfo) => {
      const width = DTYPE_BYTES[dtype];
      return store.readBytes(name, row * columns * width, count * width);
    };
    if (!sameNumbers(a, await read(a), b, await read(b))) return false;
  }
  return true;
}

function sameNumbers(a: TensorInfo, ofA: Uint8Array, b: TensorInfo, ofB: Uint8Array): boolean {
  if (a.dtype === b.dtype) return sameBytes(ofA, ofB);
  const [exactA, exactB] = [toFloat32(a.dtype, ofA), toFloat32(b.dtype, ofB)];
  if (isHalf(a.dtype) && b.dtype === "F32") return sameBytes(ofA, fromFloat32(a.dtype, exactB));
  if (isHalf(b.dtype) && a.dtype === "F32") return sameBytes(ofB, fromFloat32(b.dtype, exactA));
  return exactA.every((value, i) => value === exactB[i]);
}
