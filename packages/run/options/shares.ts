import { type Form, WordError } from "@lopper/options";
import { z } from "zod";

export type Shares = readonly number[] | "auto";

/** Of `a:b:c`, `a:b:c:d`, or `auto`; null for anything else. */
function sharesOf(text: string): Shares | null {
  if (text === "auto") return text;
  const parts = text.split(":").map((part) => part.trim() === "" ? NaN : Number(part));
  const isCount = parts.length === 3 || parts.length === 4;
  return isCount && parts.every((share) => share >= 0 && share < Infinity) ? parts : null;
}

/** What a distribution of the settings means. */
export function distribution(text: string): Shares {
  return sharesOf(text)!;
}

/**
 * Shares of blocks, MLP channels and heads; of a mixture of experts, of blocks, experts and heads,
 * and perhaps of channels of experts.
 */
export const sharesForm: Form<string> = {
  argument: "a:b:c",
  schema: z.string().max(1000).refine(
    (text) => sharesOf(text) !== null,
    "three shares are needed (of mixtures of experts perhaps four), or auto",
  ),
  parse(word) {
    if (sharesOf(word) !== null) return word;
    throw new WordError(
      "It needs to be three shares of blocks, MLP channels and heads, e.g. 44:52:4 (of mixtures of experts perhaps a fourth, of channels), or auto.",
    );
  },
  words: (value) => [value],
};
