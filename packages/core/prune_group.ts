/**
 * Tensor axes that must shrink together (after Torch-Pruning's dependency groups). A model family declares its groups
 * once, as data; the writer, the weight order and the overlay read them from there.
 */
export interface PruneGroup {
  /** "channels": unit = one intermediate channel; "kvGroups": unit = one KV head with its query heads. */
  readonly unit: "channels" | "kvGroups";
  readonly axes: readonly PruneAxis[];
}

export interface PruneAxis {
  /** Canonical weight of the block, e.g. "down" (see `BlockWeightName` in models). */
  readonly weight: string;
  /** 0 = rows (outputs) of an `[out, in]` matrix or elements of a bias, 1 = columns (inputs). */
  readonly axis: 0 | 1;
  /** Whether the axis runs over intermediate channels, query channels or key/value channels. */
  readonly span: "channel" | "query" | "kv";
}

/** Indices along an axis that belong to the given units, in the given order. */
export function axisIndices(
  span: PruneAxis["span"],
  units: readonly number[],
  shape: { headDim: number; queriesPerGroup: number },
): Uint32Array {
  const width = span === "channel"
    ? 1
    : span === "kv"
    ? shape.headDim
    : shape.headDim * shape.queriesPerGroup;
  const indices = new Uint32Array(units.length * width);
  units.forEach((unit, i) => {
    for (let j = 0; j < width; j++) indices[i * width + j] = unit * width + j;
  });
  return indices;
}
