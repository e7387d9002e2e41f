import type { Architecture } from "@lopper/core";

/**
 * Why the output projections of a model are not refitted, in words that follow "--recover auto";
 * null where they are. Behind an RMS norm, equations say which projection comes nearest to the
 * dense model while the length of what it writes stays as it is; of norms that take the mean away,
 * too, they do not.
 */
export function whyNotRefitted(
  { blocks, norm }: Pick<Architecture, "blocks" | "norm">,
): string | null {
  if (norm.kind !== "layer" && norm.kind !== "layer1p") return null;
  const found = blocks.find(({ placement = "pre" }) => placement !== "pre");
  return found
    ? `solves linear equations for the projections by which blocks write, and behind that of block ${found.id} lies a layer norm`
    : null;
}
