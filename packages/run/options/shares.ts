import { type Form, WordError } from "@lopper/options";
import { z } from "zod";

export type Shares = readonly [number, number, number] | "auto";

/** Of `a:b:c`, or `auto`; null for anything else. */
function sharesOf(text: string): Shares | null {
  if (text === "auto") return text;
  const parts = text.split(":").map((part) => part.trim() === "" ? NaN : Number(part));
  if (parts.length !== 3 || !parts.every((share) => share >= 0 && share < Infinity)) return null;
  return [parts[0], parts[1], parts[2]];
}

/** What a distribution of the settings means. */
export function distribution(text: string): Shares {
  return sharesOf(text)!;
}

/** Shares of blocks, MLP channels and heads. */
export const sharesForm: Form<string> = {
  argument: "a:b:c",
  schema: z.string().max(1000).refine(
    (text) => sharesOf(text) !== null,
    "three shares are needed, or auto",
  ),
  parse(word) {
    if (sharesOf(word) !== null) return word;
    throw new WordError(
      "It needs to be three shares of blocks, MLP channels and heads, e.g. 44:52:4, or auto.",
    );
  },
  words: (value) => [value],
};
