import type { Norm } from "@lopper/core";

/** Where files have the ε of norms, by what those compute. */
export function epsilonKey({ kind }: Pick<Norm, "kind">): string {
  return kind.startsWith("rms")
    ? "attention.layer_norm_rms_epsilon"
    : "attention.layer_norm_epsilon";
}
