import type { Scorable } from "@lopper/importance";

/**
 * Has a candidate scored as it would be after a refit: what it narrows is fitted to what the dense
 * block writes. Candidates come in the order of their blocks, so that one pass of the dense model
 * serves all of them.
 */
export interface Fitter {
  /** Puts the fit of a candidate into the weights that are scored. */
  put(candidate: Scorable): Promise<void>;
  /** Puts back what was there before. */
  restore(): Promise<void>;
}
