import { groupSize, type ModelSpec } from "@lopper/core";
import type { BlockSizes } from "@lopper/runtime";

/** Of more sizes than that, so many are timed, and the others lie on lines between them. */
const MAX_SIZES = 8;

/**
 * Sizes that blocks can come to have in a search, dense ones included: all of them where they are few, else some from
 * the smallest to the largest, evenly spaced.
 */
export function reachableSizes(
  spec: ModelSpec,
  { channels, kvGroups }: Readonly<Record<"channels" | "kvGroups", number>>,
): BlockSizes {
  const widths = spec.layers.flatMap(({ mlp }) => mlp ? down(mlp.intermediateSize, channels) : []);
  const attentions = spec.layers.flatMap(({ attention }) => attention ? [attention] : []);
  const groupSizes = ascending(attentions.map(groupSize));
  return {
    attention: groupSizes.map((size) => ({
      groupSize: size,
      kvHeads: some(
        attentions.filter((attention) => groupSize(attention) === size)
          .flatMap(({ kvHeads }) => down(kvHeads, kvGroups / spec.headDim / size)),
      ),
    })),
    mlp: some(widths),
  };
}

/** `from`, and what is left above 0 as groups go. */
function down(from: number, group: number): number[] {
  const sizes = [];
  for (let size = from; size > 0; size -= group) sizes.push(size);
  return sizes;
}

function some(values: readonly number[]): readonly number[] {
  const all = ascending(values);
  if (all.length <= MAX_SIZES) return all;
  const step = (all.length - 1) / (MAX_SIZES - 1);
  return Array.from({ length: MAX_SIZES }, (_, i) => all[Math.round(i * step)]);
}

function ascending(values: readonly number[]): readonly number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}
