import { type Architecture, CheckpointFormatError, shapeOfWeight } from "@lopper/core";
import type { ByteSource, GgufTensor, NamedTensor } from "@lopper/formats";
import type { Family } from "../families/family.ts";
import type { WeightRole } from "../model.ts";
import type { GgufArchitecture } from "./architecture.ts";
import { areInterleaved, hasShiftedGains } from "./layout_of_weights.ts";
import { familyTensors, isGain, isRotated } from "./tensor_names.ts";

/** A file whose tensors are to be named. */
export interface DescribedFile {
  readonly arch: GgufArchitecture;
  readonly architecture: Architecture;
  readonly family: Family;
  readonly source: ByteSource;
}

/**
 * A tensor as the weights that it holds, under the names of the family.
 * @throws {CheckpointFormatError} for a tensor that is none of the model's weights, or that has not
 *   as many rows as the weights in it have together.
 */
export function namedTensors(tensor: GgufTensor, file: DescribedFile): readonly NamedTensor[] {
  const { arch, architecture, family, source } = file;
  const location = { file: source.name, tensor: tensor.name, offset: tensor.offset };
  const found = familyTensors(arch, family, tensor.name);
  if (found.length === 0) {
    throw new CheckpointFormatError(
      `it is none of the weights of the ${family.modelType} architecture`,
      location,
    );
  }
  const named = found.map(({ name, role }) => ({
    name,
    tensor: withoutOnes(tensor, architecture, role),
    interleavedRows: areInterleaved(arch, architecture) && isRotated(role)
      ? architecture.headDim
      : 0,
    ...(hasShiftedGains(architecture) && isGain(role) && { plusOne: true as const }),
  }));
  if (named.length === 1) return named;
  const rows = found.map(({ role }) => rowsOf(architecture, role));
  const needed = rows.reduce((sum, n) => sum + n, 0);
  if (needed !== tensor.shape[0]) {
    throw new CheckpointFormatError(
      `it has ${tensor.shape[0]} rows, and the weights in it have ${needed} (${rows.join(" + ")})`,
      location,
    );
  }
  return named.map((part, i) => {
    const from = rows.slice(0, i).reduce((sum, n) => sum + n, 0);
    return { ...part, part: { from, rows: rows[i] } };
  });
}

/** Without axes of length 1 that its weight does not have: to llama.cpp they are none. */
function withoutOnes(
  tensor: GgufTensor,
  architecture: Architecture,
  role: WeightRole,
): GgufTensor {
  const needed = shapeOf(architecture, role)?.length;
  const more = needed === undefined ? 0 : Math.max(0, tensor.shape.length - needed);
  const isNone = more > 0 && tensor.shape.slice(0, more).every((length) => length === 1);
  return isNone ? { ...tensor, shape: tensor.shape.slice(more) } : tensor;
}

/** Rows of a weight; 0 where the model does not have it. */
function rowsOf(architecture: Architecture, role: WeightRole): number {
  return shapeOf(architecture, role)?.[0] ?? 0;
}

function shapeOf({ blocks }: Architecture, role: WeightRole): readonly number[] | undefined {
  if (!("layer" in role)) return undefined;
  const block = blocks.find(({ layer, kind }) => layer === role.layer && kind === role.part);
  const isThere = block?.weights.some(({ name }) => name === role.weight);
  return block && isThere ? shapeOfWeight(block, role.weight) : undefined;
}
