import { type Architecture, firstRope } from "@lopper/core";
import type { GgufArchitecture } from "./architecture.ts";

/**
 * Whether rows of q and k are interleaved in the file: it rotates neighbours, and the family halves
 * of a head.
 */
export function areInterleaved({ pairs }: GgufArchitecture, architecture: Architecture): boolean {
  return pairs === "neighbours" && firstRope(architecture)?.pairs !== "neighbours";
}

/** Whether the file holds gains of norms, 1 + w, where the family's weights are w. */
export function hasShiftedGains({ norm: { kind } }: Pick<Architecture, "norm">): boolean {
  return kind === "rms1p" || kind === "layer1p";
}
