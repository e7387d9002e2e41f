import { type Architecture, CheckpointFormatError } from "@lopper/core";
import { type TensorStore, type TensorView, ViewedTensorStore } from "@lopper/formats";
import type { TensorNames } from "./families/family.ts";

/**
 * The tensors of a checkpoint under the names that its family has, where some writers have others:
 * a model without its head lacks what all names but the head's begin with, and of a tied one
 * safetensors (`save_model`) keeps the head and leaves out the embedding that it is.
 */
export function withUsualNames(
  { tiedEmbeddings }: Pick<Architecture, "tiedEmbeddings">,
  store: TensorStore,
  { embedding, lmHead }: Pick<TensorNames, "embedding" | "lmHead">,
): TensorStore {
  if (store.tensors.has(embedding)) return store;
  const prefix = embedding.slice(0, embedding.indexOf(".") + 1);
  if (store.tensors.has(embedding.slice(prefix.length))) {
    return renamed(store, (name) => name === lmHead ? name : prefix + name);
  }
  if (!tiedEmbeddings || !store.tensors.has(lmHead)) return store;
  return renamed(store, (name) => name === lmHead ? embedding : name);
}

/**
 * The tensors of a store under other names.
 * @param nameOf null for one that is left out.
 * @throws {CheckpointFormatError} when two of them would have the same name.
 */
export function renamed(
  store: TensorStore,
  nameOf: (stored: string) => string | null,
): TensorStore {
  const names = new Map([...store.tensors.keys()].map((name) => [name, nameOf(name)]));
  const views = [...store.tensors.values()].flatMap((tensor): TensorView[] => {
    const { name, shape, file, offset } = tensor;
    const other = names.get(name)!;
    if (other === name || other === null) return [];
    if (names.get(other) === other) {
      throw new CheckpointFormatError(
        `${other} is the same weight under another name; one counts`,
        {
          ...{ file, offset, tensor: name },
        },
      );
    }
    const length = shape.reduce((product, d) => product * d, 1);
    const strided = { start: 0, axes: [{ length, stride: 1 }] };
    return [{ name: other, shape, parts: [{ tensor: name, strided }] }];
  });
  const left = new Set([...names].flatMap(([name, other]) => other === null ? [name] : []));
  return new ViewedTensorStore(store, views, left);
}
