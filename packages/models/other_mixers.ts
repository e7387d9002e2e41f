import { shown } from "@lopper/core";

/** Where configs of hybrid models list by what the tokens of each layer see one another. */
const LISTS = ["layer_types", "layers_block_type"] as const;
/** How attention is called there. */
const ATTENTION: readonly unknown[] = ["full_attention", "sliding_attention", "attention"];

/**
 * What a config of a family that Lopper does not read says of its layers, as far as that is why:
 * the first that is no attention (a state space, a convolution, a delta net), in words; undefined
 * where all are, or nothing is said.
 */
export function otherMixer(json: Readonly<Record<string, unknown>>): string | undefined {
  const list = LISTS.map((key) => json[key]).find((value) => Array.isArray(value));
  if (!list) return undefined;
  const layer = list.findIndex((type) => !ATTENTION.includes(type));
  return layer < 0
    ? undefined
    : `layer ${layer} is ${shown(list[layer])}, and Lopper computes layers of attention alone`;
}
