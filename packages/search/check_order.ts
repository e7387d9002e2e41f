import type { LayerSpec, ModelSpec } from "@lopper/core";
import type { Arrangement } from "./arrange.ts";

/**
 * What is wrong with an order that was recorded; null where nothing is. Each layer has all its units once, and those that
 * went already stay behind those that are there: a narrower block is the beginning of its order.
 * @param layers when the order was made.
 * @param before the order of the same units until then; null where none of them went yet.
 */
export function orderFault(
  spec: ModelSpec,
  layers: readonly LayerSpec[],
  { units, layers: orders }: Pick<Arrangement, "units" | "layers">,
  before: Pick<Arrangement, "layers"> | null,
): string | null {
  if (orders.length !== spec.layers.length) {
    return `it orders ${orders.length} layers, and the model has ${spec.layers.length}`;
  }
  const count = ({ attention, mlp }: LayerSpec) =>
    units === "channels" ? mlp?.intermediateSize : attention?.kvHeads;
  for (const [layer, order] of orders.entries()) {
    const all = count(spec.layers[layer]);
    const fits = all === undefined ? order === null : order !== null && isPermutation(order, all);
    if (!fits) return `it does not order the ${all ?? 0} ${WORDS[units]} of layer ${layer}`;
    const kept = count(layers[layer]);
    const earlier = before?.layers[layer];
    if (order === null || kept === undefined || !earlier) continue;
    const there = new Set(earlier.slice(0, kept));
    const back = order.slice(0, kept).find((unit) => !there.has(unit));
    if (back !== undefined) {
      return `it counts number ${back} of the ${WORDS[units]} of layer ${layer}, which went before`;
    }
  }
  return null;
}

const WORDS = { channels: "channels", kvGroups: "KV groups" } as const;

function isPermutation(order: readonly number[], count: number): boolean {
  return order.length === count && new Set(order).size === count &&
    order.every((unit) => unit >= 0 && unit < count);
}
