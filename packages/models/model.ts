import {
  type Architecture,
  type Block,
  CheckpointFormatError,
  type DeclaredWeight,
  isFloatDType,
  type OuterPart,
  sha256,
  sizeOf,
  weightShape,
} from "@lopper/core";
import { blockTensorName, type Family } from "./families/family.ts";
import { digestForm } from "./digest_form.ts";
import type { ModelFolder, TensorInfo, TensorStore } from "@lopper/formats";
import type { WholeModel } from "./whole_model.ts";

/** Bytes hashed at a time: large enough to be fast, small enough not to matter beside a tensor. */
const DIGEST_CHUNK_BYTES = 16 * 1024 * 1024;

/**
 * A checkpoint understood as a decoder: its shapes, and its weights by role. Opening reads the
 * config and the tensor headers only; weights are read when asked for.
 */
export interface Model extends Disposable {
  readonly name: string;
  readonly folder: ModelFolder;
  readonly architecture: Architecture;
  readonly family: Family;
  /** config.json as it stands, keys that Lopper does not read included. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Every weight of the model, embedding first, in a fixed order. */
  readonly weights: readonly Weight[];
  readonly store: TensorStore;
  /** Bytes of all weights in their dtypes. */
  readonly weightBytes: number;
  /** What its files have otherwise than it is read. */
  readonly stored: StoredForm;
  /** What its files hold that is passed over, one short sentence each. */
  readonly notes: readonly string[];
}

/** How a model lies in its files. */
export interface StoredForm {
  /**
   * Where weights are quantised: the types, and their bytes. Null where every weight is what lies
   * in the file.
   */
  readonly quantised: Readonly<Record<string, number>> | null;
  /** The model of more than text that it is the text model of; null where it is a model itself. */
  readonly whole: WholeModel | null;
}

/** One tensor and its role. `shape` is checked against the config. */
export interface Weight {
  readonly role: WeightRole;
  readonly tensor: TensorInfo;
}

export type WeightRole =
  | { readonly part: OuterWeight }
  /** Of a block: what kind it is, and which of its weights. */
  | { readonly part: string; readonly layer: number; readonly weight: string };

/** A weight outside the blocks. */
export type OuterWeight = "embedding" | "lmHead" | OuterPart;

/** A weight that a model has by its description. */
export interface DeclaredTensor {
  readonly role: WeightRole;
  readonly name: string;
  /** `[out, in]` of a matrix, `[n]` of a bias or a norm. */
  readonly shape: readonly number[];
}

/** Every weight of a model, in the order in which they are listed and hashed. */
export function declaredTensors(
  architecture: Architecture,
  family: Family,
): readonly DeclaredTensor[] {
  const { vocabSize, hiddenSize, maxPositions, tiedEmbeddings, scaling } = architecture;
  const outer = (part: OuterWeight, ...shape: number[]) => ({
    role: { part },
    name: outerTensorName(family, part),
    shape,
  });
  const shapes: Readonly<Record<OuterPart, readonly number[]>> = {
    positions: [maxPositions + (scaling?.positionOffset ?? 0), hiddenSize],
    finalNorm: [hiddenSize],
    finalNormBias: [hiddenSize],
    lmHeadBias: [vocabSize],
  };
  const parts = (...wanted: OuterPart[]) =>
    wanted.filter((part) => architecture.outer.includes(part))
      .map((part) => outer(part, ...shapes[part]));
  return [
    outer("embedding", vocabSize, hiddenSize),
    ...parts("positions"),
    ...architecture.blocks.flatMap((block, number) =>
      ownWeights(architecture.blocks, number).map((weight) => ({
        role: { part: block.kind, layer: block.layer, weight: weight.name },
        name: blockTensorName(family, block, weight.name),
        shape: weightShape(weight, sizeOf(block)),
      }))
    ),
    ...parts("finalNorm", "finalNormBias"),
    ...(tiedEmbeddings ? [] : [outer("lmHead", vocabSize, hiddenSize)]),
    ...parts("lmHeadBias"),
  ];
}

/** The weights of a block but for those that the block before it has already. */
function ownWeights(blocks: readonly Block[], number: number): readonly DeclaredWeight[] {
  const { layer, weights } = blocks[number];
  return blocks[number - 1]?.layer === layer ? weights.filter(({ shared }) => !shared) : weights;
}

/** The checkpoint's name of a weight outside the blocks. */
export function outerTensorName({ modelType, tensorNames }: Family, part: OuterWeight): string {
  const name = tensorNames[part];
  if (name === undefined) throw new TypeError(`${modelType} has no ${part}`);
  return name;
}

/**
 * Finds the tensor of every weight.
 * @param description what declares the shapes, for messages: "config.json", say.
 * @throws {CheckpointFormatError} when a tensor is missing, undeclared, or of another shape than
 *   declared.
 */
export function bindWeights(
  architecture: Architecture,
  family: Family,
  store: Pick<TensorStore, "tensors">,
  file: string,
  description = "config.json",
): readonly Weight[] {
  const names = family.tensorNames;
  const weights = declaredTensors(architecture, family).map(({ role, name, shape }): Weight => {
    const tensor = store.tensors.get(name);
    if (!tensor) {
      const untied = role.part === "lmHead" ? ", and does not say tie_word_embeddings" : "";
      throw new CheckpointFormatError(
        `the tensor is missing; ${description} declares it with shape [${
          shape.join(", ")
        }]${untied}`,
        { file, tensor: name },
      );
    }
    checkTensor(tensor, shape, description);
    return { role, tensor };
  });

  // A tensor that the config does not declare is never dropped in silence: a removed block is
  // declared, too.
  const bound = new Set(weights.map(({ tensor }) => tensor.name));
  for (const [name, tensor] of store.tensors) {
    if (bound.has(name) || names.ignored.test(name)) continue;
    if (isGuessing(name, architecture, family)) continue;
    if (architecture.tiedEmbeddings && name === names.lmHead) continue;
    throw new CheckpointFormatError(`${description} does not declare this tensor`, {
      file: tensor.file,
      tensor: name,
      offset: tensor.offset,
    });
  }
  return weights;
}

/** Whether a tensor is of what guesses further tokens than the next. */
export function isGuessing(
  name: string,
  { layerCount }: Pick<Architecture, "layerCount">,
  { guesses, tensorNames }: Family,
): boolean {
  if (guesses === undefined) return false;
  if (guesses.tensors !== "layers behind") return guesses.tensors.test(name);
  const [before] = tensorNames.layer.split("{l}");
  return name.startsWith(before) && parseInt(name.slice(before.length)) >= layerCount;
}

/**
 * @throws {CheckpointFormatError} when a tensor is of another shape than declared, or holds no
 * floating-point numbers.
 */
function checkTensor(tensor: TensorInfo, shape: readonly number[], description: string) {
  const { file, name, offset, dtype } = tensor;
  const location = { file, tensor: name, offset };
  if (tensor.shape.length !== shape.length || tensor.shape.some((d, i) => d !== shape[i])) {
    throw new CheckpointFormatError(
      `its shape is [${tensor.shape.join(", ")}] and ${description} needs [${shape.join(", ")}]`,
      location,
    );
  }
  if (!isFloatDType(dtype)) {
    throw new CheckpointFormatError(
      `its dtype is ${dtype} and weights need F32, F16 or BF16`,
      location,
    );
  }
}

/** The weights of one block by role, those included that it shares with the block before it. */
export function weightsOfBlock(
  model: Model,
  { layer, kind }: Pick<Block, "layer" | "kind">,
): ReadonlyMap<string, TensorInfo> {
  const { blocks } = model.architecture;
  const number = blocks.findIndex((block) => block.layer === layer && block.kind === kind);
  const shared = blocks[number]?.weights.filter(({ shared }) => shared).map(({ name }) => name);
  const before = blocks[number - 1]?.layer === layer ? blocks[number - 1].kind : undefined;
  const found = new Map<string, TensorInfo>();
  for (const { role, tensor } of model.weights) {
    if (!("layer" in role) || role.layer !== layer) continue;
    const isShared = role.part === before && shared.includes(role.weight);
    if (role.part === kind || isShared) found.set(role.weight, tensor);
  }
  return found;
}

/** The tensor of a weight outside the blocks; the LM head of a tied model is the embedding. */
export function outerWeight(model: Model, part: OuterWeight): TensorInfo {
  const wanted = part === "lmHead" && model.architecture.tiedEmbeddings ? "embedding" : part;
  const weight = model.weights.find(({ role }) => role.part === wanted);
  if (!weight) throw new TypeError(`the model has no ${wanted}`);
  return weight.tensor;
}

/**
 * `sha256:…` over the model's shapes and every weight: role, dtype, shape, and the SHA-256 of each
 * 16 MiB of its bytes (so that the platform's own implementation, which takes no streams, can be
 * used). Two checkpoints with the same digest compute the same thing, however they are sharded. End
 * tokens count as config.json has them: those that are found elsewhere change nothing that is
 * computed, and programs have written digests without them.
 */
export async function modelDigest(
  model: Model,
  onProgress?: (bytesDone: number, bytes: number) => void,
): Promise<string> {
  const lines = [JSON.stringify(digestForm(model))];
  let done = 0;
  for (const { role, tensor } of model.weights) {
    lines.push(JSON.stringify([role, tensor.dtype, tensor.shape]));
    for (let offset = 0; offset < tensor.byteLength; offset += DIGEST_CHUNK_BYTES) {
      const length = Math.min(DIGEST_CHUNK_BYTES, tensor.byteLength - offset);
      lines.push(await sha256(await model.store.readBytes(tensor.name, offset, length)));
      done += length;
      onProgress?.(done, model.weightBytes);
    }
  }
  return await sha256(new TextEncoder().encode(lines.join("\n")));
}
