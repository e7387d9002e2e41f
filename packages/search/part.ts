/** Where a block is by its id, which names layer and kind: "3.attention". */
export function placeOfPart(part: string): { readonly layer: number; readonly kind: string } {
  const dot = part.indexOf(".");
  return { layer: Number(part.slice(0, dot)), kind: part.slice(dot + 1) };
}

/**
 * What changes, or what a key says of them, are alike in: "mlp" where a whole block of that kind
 * goes, "layer" where several do, "channels" where a part of one block does, and "all channels"
 * where a part of several does.
 */
export function kindOfChanges(
  changes: readonly { readonly part: string; readonly dimension: string | null }[],
): string {
  const [{ part, dimension }] = changes;
  if (dimension === null) return changes.length > 1 ? "layer" : placeOfPart(part).kind;
  return changes.length > 1 ? `all ${dimension}` : dimension;
}
