import type { BpeJson } from "./token_table.ts";
import { z } from "zod";

/** How spaces become marks before a SentencePiece model, as llama.cpp has it. */
export interface MarkedSpaces {
  /** One more stands before a text, and behind each token that text is split at. */
  readonly prefix: boolean;
  /** What llama.cpp does otherwise, a sentence each. */
  readonly notes: readonly string[];
}

const MARK = "▁";
const replaced = z.looseObject({
  type: z.literal("Replace"),
  pattern: z.strictObject({ String: z.literal(" ") }),
  content: z.literal(MARK),
});
const prepended = z.looseObject({ type: z.literal("Prepend"), prepend: z.literal(MARK) });
/** Normalizers that mark spaces, and one more at the beginning. */
export const spaceSteps = { plain: [replaced], prefixed: [prepended, replaced] };
/** Where no spaces are left, nothing is split at them. */
const atSpaces = z.looseObject({
  type: z.literal("Split"),
  pattern: z.strictObject({ String: z.literal(" ") }),
});
export const metaspaceSchema = z.looseObject({
  type: z.literal("Metaspace"),
  replacement: z.literal(MARK).default(MARK),
  prepend_scheme: z.enum(["always", "first", "never"]).optional(),
  /** Of earlier versions. */
  add_prefix_space: z.boolean().default(true),
  split: z.boolean().default(true),
});

export const LEADING_SPACE_NOTE =
  "a text that begins with a space has another space before it in llama.cpp, where the model's tokenizer adds none";
const INNER =
  "behind a special token within a text llama.cpp adds a space, where the model's tokenizer adds one only at the " +
  "beginning of the text";

/**
 * How the normalizer and the pre-tokenizer of a tokenizer.json mark spaces; null for a way that
 * llama.cpp does not have. A Metaspace marks them as llama.cpp does, but for a text that begins
 * with one.
 */
export function markedSpaces({ normalizer, pre_tokenizer, model }: BpeJson): MarkedSpaces | null {
  const [steps, splits] = [
    stepsOf(normalizer, "normalizers"),
    stepsOf(pre_tokenizer, "pretokenizers"),
  ];
  const all = (schemas: readonly z.ZodType[]) =>
    steps.length === schemas.length &&
    schemas.every((schema, i) => schema.safeParse(steps[i]).success);
  if (all([prepended, replaced]) || all([replaced])) {
    const isMarked = splits.every((split) => atSpaces.safeParse(split).success);
    return isMarked ? { prefix: steps.length === 2, notes: [] } : null;
  }
  const space = metaspaceSchema.safeParse(splits[0]);
  if (steps.length > 0 || splits.length !== 1 || !space.success) return null;
  const { prepend_scheme, add_prefix_space, split } = space.data;
  if (split && joinsWords(model)) return null;
  switch (prepend_scheme ?? (add_prefix_space ? "always" : "never")) {
    case "never":
      return { prefix: false, notes: [] };
    case "always":
      return { prefix: true, notes: [LEADING_SPACE_NOTE] };
    default:
      return { prefix: true, notes: [LEADING_SPACE_NOTE, INNER] };
  }
}

/** Whether a merge makes a token in which a mark is not the first character. */
function joinsWords({ merges }: BpeJson["model"]): boolean {
  return merges.some((merge) =>
    (typeof merge === "string" ? merge.replace(" ", "") : merge.join("")).includes(MARK, 1)
  );
}

/** The steps of a part of tokenizer.json, however deep they lie. */
export function stepsOf(part: unknown, list: string): readonly unknown[] {
  if (typeof part !== "object" || part === null) return [];
  const { type, [list]: inner } = part as Readonly<Record<string, unknown>>;
  return type === "Sequence" && Array.isArray(inner)
    ? inner.flatMap((step) => stepsOf(step, list))
    : [part];
}
