/** What families compute that Lopper does not, by their `model_type` (transformers 5.24). */
const NOT_READ: readonly (readonly [family: RegExp, lacks: string])[] = [
  [
    /^phimoe$/,
    "each expert of a token is weighted among those of nearly the same score alone (SparseMixer, arXiv 2409.12136)",
  ],
  [
    /^(deepseek_v(2|3|32)|glm4_moe_lite|glm_moe_dsa|kimi_linear|longcat_flash|minicpm3|mistral4)$/,
    "keys and values come from one compressed state (multi-head latent attention, arXiv 2405.04434)",
  ],
  [
    /^gemma3n(_text)?$/,
    "layers have inputs of their own beside hidden states in several copies (AltUp, arXiv 2301.13310)",
  ],
];

/** Why a family is not read, as a sentence; undefined for those of which nobody looked. */
export function whyNotRead(modelType: string): string | undefined {
  return NOT_READ.find(([family]) => family.test(modelType))?.[1];
}
