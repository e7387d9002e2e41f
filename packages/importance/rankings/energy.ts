import { overColumns } from "./columns.ts";
import type { ActivationRule } from "./rule.ts";

/**
 * An inner channel c is worth E[a_c²] · ‖W[:,c]‖₂², the mean energy of its share of the block's
 * output: what the layer-wise error of OSSCAR (arXiv 2403.12983) becomes where channels do not
 * depend on each other. a_c is its activation, W the projection that it enters.
 */
export const energy = {
  name: "energy",
  goesBy: "the energy of what they add to the block's output",
  needs: "activations",
  isTried: true,
  worth: ({ meanSquares, columns }) => {
    const squares = overColumns(columns, meanSquares.length, (w) => w * w);
    return meanSquares.map((square, c) => square * squares[c]);
  },
} as const satisfies ActivationRule;
