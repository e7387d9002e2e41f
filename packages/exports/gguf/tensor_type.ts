import { BLOCK_GRIDS, type GridName, TENSOR_TYPES, type TensorTypeName } from "@lopper/formats";
import type { Model, Weight, WeightRole } from "@lopper/models";

/** Where rows are not whole super-blocks (llama.cpp, llama-quant.cpp). */
const SHORTER_BLOCKS: Readonly<Partial<Record<TensorTypeName, TensorTypeName>>> = {
  Q4_K: "Q5_0",
  Q5_K: "Q5_1",
  Q6_K: "Q8_0",
};

/** The type of about as many bits whose blocks are shorter; the type itself where there is none. */
export function shorterBlocks(type: TensorTypeName): TensorTypeName {
  return SHORTER_BLOCKS[type] ?? type;
}

/** A type, or one of shorter blocks where the rows of a matrix need it; at last F16. */
export function typeOfRows(type: TensorTypeName, columns: number): TensorTypeName {
  const fits = (type: TensorTypeName) => columns % TENSOR_TYPES[type].values === 0;
  return [type, shorterBlocks(type)].find(fits) ?? "F16";
}

/**
 * The type of a matrix where others have `type`, as llama.cpp has it: what makes the logits has 6
 * bits at least. What llama.cpp always has in F32 is small, and much depends on it: where tokens
 * go, and what is added to activations or to the embedding.
 */
export function typeOfMatrix(
  { role, tensor }: Weight,
  tied: boolean,
  type: TensorTypeName,
): TensorTypeName {
  if (tensor.shape.length === 1 || isAlwaysF32(role)) return "F32";
  if (type === "F32" || type === "F16") return type;
  const makesLogits = role.part === "lmHead" || (tied && role.part === "embedding");
  return typeOfRows(makesLogits && type !== "Q8_0" ? "Q6_K" : type, tensor.shape.at(-1)!);
}

/** The quantised type of a matrix in a layer where others have `type`; null where it has none. */
export function gridOf(weight: Weight, { architecture }: Model, type: TensorTypeName) {
  if (!("layer" in weight.role)) return null;
  const own = typeOfMatrix(weight, architecture.tiedEmbeddings, type);
  return Object.hasOwn(BLOCK_GRIDS, own) ? own as GridName : null;
}

/** Routers, biases of experts, learned positions (llama.cpp, conversion/base.py). */
function isAlwaysF32(role: WeightRole): boolean {
  if (!("layer" in role)) return role.part === "positions";
  return role.weight.endsWith("router") || role.weight.endsWith("_bias");
}
