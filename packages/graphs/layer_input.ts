import type { Block } from "@lopper/core";

/**
 * What each block of a graph reads of the hidden states, block after block: those that it adds to,
 * or where it is parallel the input of its layer.
 */
export function layerInputs(): (block: Block, hidden: string) => string {
  let [base, baseLayer] = ["", -1];
  return ({ parallel, layer }, hidden) => {
    if (!parallel || layer !== baseLayer) [base, baseLayer] = [hidden, layer];
    return base;
  };
}
