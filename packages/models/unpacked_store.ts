import { type Architecture, CheckpointFormatError, isFloatDType } from "@lopper/core";
import {
  type TensorInfo,
  type TensorStore,
  type TensorView,
  ViewedTensorStore,
} from "@lopper/formats";
import type { Family } from "./families/family.ts";
import { type PackedWeight, packsOf, type StoredPack } from "./packing.ts";

/**
 * The tensors of a checkpoint under the names and in the shapes of their weights, whatever tensors
 * hold them. Only headers are looked at.
 * @param where `file` is what has the weights, `description` what declares them, for messages.
 * @throws {CheckpointFormatError} when a tensor is missing, or of another shape than the weights in
 *   it need, or holds no floating-point numbers.
 */
export function unpacked(
  architecture: Pick<Architecture, "blocks">,
  store: TensorStore,
  { family, file, description }: { family: Family; file: string; description: string },
): TensorStore {
  if (!family.packing) return store;
  const { tensors } = store;
  const ways = [family.packing, ...family.otherPackings ?? []]
    .map((packing) => packsOf(architecture, family, packing));
  const packs = ways.find((way) => way.every(({ name }) => tensors.has(name))) ?? ways[0];
  for (const pack of packs) checkPack(pack, tensors.get(pack.name), { file, description });
  const views = new Map<string, TensorView>();
  for (const { name: tensor, weights } of packs) {
    for (const { name, shape, strided } of weights) {
      const parts = [...views.get(name)?.parts ?? [], { tensor, strided }];
      views.set(name, { name, shape, parts });
    }
  }
  const stored = new Set(packs.map(({ name }) => name));
  for (const name of views.keys()) {
    const twice = stored.has(name) ? undefined : tensors.get(name);
    if (!twice) continue;
    throw new CheckpointFormatError(
      `${description} does not declare this tensor: another one has it packed with others`,
      { file: twice.file, tensor: name, offset: twice.offset },
    );
  }
  for (const { parts } of views.values()) {
    checkDTypes(parts.map((part) => tensors.get(part.tensor)!));
  }
  return new ViewedTensorStore(store, [...views.values()]);
}

/** @throws {CheckpointFormatError} unless all parts of a weight are of one dtype. */
function checkDTypes([first, ...rest]: readonly TensorInfo[]) {
  const other = rest.find(({ dtype }) => dtype !== first.dtype);
  if (!other) return;
  throw new CheckpointFormatError(
    `its dtype is ${other.dtype} and that of ${first.name} is ${first.dtype}; they need one`,
    { file: other.file, tensor: other.name, offset: other.offset },
  );
}

function checkPack(
  { name, shape, weights }: StoredPack,
  tensor: TensorInfo | undefined,
  { file, description }: { file: string; description: string },
) {
  const needed = `[${shape.join(", ")}]${heldIn(weights)}`;
  if (!tensor) {
    throw new CheckpointFormatError(
      `the tensor is missing; ${description} declares it with shape ${needed}`,
      { file, tensor: name },
    );
  }
  const location = { file: tensor.file, tensor: name, offset: tensor.offset };
  if (tensor.shape.join() !== shape.join()) {
    throw new CheckpointFormatError(
      `its shape is [${tensor.shape.join(", ")}] and ${description} needs ${needed}`,
      location,
    );
  }
  if (isFloatDType(tensor.dtype)) return;
  throw new CheckpointFormatError(
    `its dtype is ${tensor.dtype} and weights need F32, F16 or BF16`,
    location,
  );
}

/** What a shape is of, where it is not that of one weight. */
function heldIn(weights: readonly PackedWeight[]): string {
  const names = weights.map(({ weight }) => weight);
  return names.length > 1
    ? `, the rows of ${names.slice(0, -1).join(", ")} and ${names.at(-1)}`
    : "";
}
