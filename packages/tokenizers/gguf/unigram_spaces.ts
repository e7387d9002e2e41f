import { fromBase64 } from "../base64.ts";
import { Charsmap } from "../charsmap.ts";
import { LEADING_SPACE_NOTE, metaspaceSchema, spaceSteps, stepsOf } from "./marked_spaces.ts";
import type { UnigramJson } from "./token_table.ts";
import { OUTER_SPACES } from "./unigram_tokenizer.ts";
import { z } from "zod";

/** What is done to a text before a Unigram, as llama.cpp has it. */
export interface UnigramSpaces {
  /** Replacements of characters, in base64. */
  readonly charsmap: string | null;
  /** A mark stands before a text. */
  readonly prefix: boolean;
  /** No space follows another, and none is around a text. */
  readonly single: boolean;
  readonly notes: readonly string[];
}

const precompiled = z.looseObject({
  type: z.literal("Precompiled"),
  precompiled_charsmap: z.base64(),
});
const strip = z.union([
  z.looseObject({ type: z.literal("Strip"), strip_right: z.literal(true) }),
  z.looseObject({
    type: z.literal("Replace"),
    pattern: z.strictObject({ Regex: z.literal(OUTER_SPACES) }),
    content: z.literal(""),
  }),
]);
/** Two spaces or more are one, or its mark. */
const runs = z.looseObject({
  type: z.literal("Replace"),
  pattern: z.strictObject({ Regex: z.literal(" {2,}") }),
  content: z.enum([" ", "▁"]),
});
const words = z.looseObject({ type: z.literal("WhitespaceSplit") });

/** What has to become a space before words are split, or llama.cpp splits others. */
const SPACES = ["\t", "\n", "\r", "▁"];
/** All that Unicode calls white space (17.0, White_Space). */
const WHITE = [
  ...["\t", "\n", "\v", "\f", "\r", " ", "\u0085", "\u00a0", "\u1680", "\u2028", "\u2029"],
  ...["\u202f", "\u205f", "\u3000", ...Array.from({ length: 11 }, (_, i) => letter(0x2000 + i))],
];
const CLUSTERS =
  "llama.cpp replaces characters one by one, where the model's tokenizer takes some together, as the two of a line end";

/** Null for a way that llama.cpp does not have. */
export function unigramSpaces({ normalizer, pre_tokenizer, model }: UnigramJson) {
  const steps = [...stepsOf(normalizer, "normalizers")];
  const splits = [...stepsOf(pre_tokenizer, "pretokenizers")];
  const takes = (from: unknown[], ...schemas: readonly z.ZodType[]) => {
    const fits = schemas.every((schema, i) => schema.safeParse(from[i]).success);
    if (fits) from.splice(0, schemas.length);
    return fits;
  };
  const first = precompiled.safeParse(steps[0]);
  if (first.success) steps.shift();
  const charsmap = first.success ? first.data.precompiled_charsmap : null;
  const stripped = takes(steps, strip, runs);
  const base = (rest: Omit<UnigramSpaces, "charsmap">): UnigramSpaces => ({ charsmap, ...rest });
  // As it is read from a GGUF file.
  if (splits.length === 0 && (takes(steps, ...spaceSteps.prefixed) && steps.length === 0)) {
    return base({ prefix: true, single: stripped, notes: [] });
  }
  if (splits.length === 0 && !stripped && takes(steps, ...spaceSteps.plain) && steps.length === 0) {
    return base({ prefix: false, single: false, notes: [] });
  }
  const split = takes(splits, words);
  const space = metaspaceSchema.safeParse(splits[0]);
  if (steps.length > 0 || splits.length !== 1 || !space.success) return null;
  if (space.data.split && model.vocab.some(([token]) => token.includes("▁", 1))) return null;
  const { prepend_scheme, add_prefix_space } = space.data;
  const scheme = prepend_scheme ?? (add_prefix_space ? "always" : "never");
  const map = charsmap === null ? null : new Charsmap(fromBase64(charsmap));
  const left = WHITE.filter((white) => /[^\P{White_Space} ]/u.test(map?.normalize(white) ?? white));
  if (split && (!map || SPACES.some((white) => map.normalize(white) !== " "))) return null;
  if (split || stripped) {
    const notes = split && left.length > 0 ? [unsplitNote(left)] : [];
    return scheme === "always" ? base({ prefix: true, single: true, notes }) : null;
  }
  if (scheme === "first") return null;
  const prefix = scheme === "always";
  const notes = [...(prefix ? [LEADING_SPACE_NOTE] : []), ...(map ? [CLUSTERS] : [])];
  return base({ prefix, single: false, notes });
}

function unsplitNote(left: readonly string[]): string {
  const codes = left.map((white) => `U+${white.codePointAt(0)!.toString(16).padStart(4, "0")}`);
  return `llama.cpp splits no words at ${codes.slice(0, 3).join(", ")}${
    codes.length > 3 ? ` and ${codes.length - 3} more` : ""
  }, where the model's tokenizer does`;
}

function letter(code: number): string {
  return String.fromCodePoint(code);
}
