import type { Architecture } from "@lopper/core";
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

function renamed(store: TensorStore, nameOf: (stored: string) => string): TensorStore {
  const views = [...store.tensors.values()].flatMap(({ name, shape }): TensorView[] => {
    const other = nameOf(name);
    if (other === name) return [];
    const length = shape.reduce((product, d) => product * d, 1);
    const strided = { start: 0, axes: [{ length, stride: 1 }] };
    return [{ name: other, shape, parts: [{ tensor: name, strided }] }];
  });
  return new ViewedTensorStore(store, views);
}
