import { overColumns } from "./columns.ts";
import type { ActivationRule } from "./rule.ts";

/**
 * An inner channel c is worth √E[a_c²] · ‖W[:,c]‖₁: Wanda's score |W_ij| · ‖x_j‖₂ (arXiv
 * 2306.11695, equation 1) summed over its weights. a_c is its activation, W the projection that it
 * enters.
 */
export const wanda = {
  name: "wanda",
  goesBy: "Wanda's score of the weights behind them",
  needs: "activations",
  isTried: true,
  worth: ({ meanSquares, columns }) => {
    const sums = overColumns(columns, meanSquares.length, Math.abs);
    return meanSquares.map((square, c) => Math.sqrt(square) * sums[c]);
  },
} as const satisfies ActivationRule;
