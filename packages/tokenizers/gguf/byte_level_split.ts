import { GPT2_WORDS, spelled } from "./pre_tokenizers.ts";
import { z } from "zod";

/** How a tokenizer.json splits text before a byte-level BPE. */
export interface ByteLevelSplit {
  /**
   * Regular expressions, in order, in the spelling of llama.cpp; each splits what the one before it
   * left.
   */
  readonly patterns: readonly string[];
  /**
   * Numerals are split from other letters where bytes are letters already, among which bytes of any
   * character look like numerals.
   */
  readonly numeralsApart: boolean;
}

const stepSchema = z.discriminatedUnion("type", [
  z.looseObject({
    type: z.literal("Split"),
    pattern: z.strictObject({ Regex: z.string() }),
    behavior: z.enum(["Isolated", "Removed"]),
    invert: z.boolean().default(false),
  }),
  z.looseObject({ type: z.literal("Digits"), individual_digits: z.boolean().default(false) }),
  z.looseObject({ type: z.literal("Punctuation"), behavior: z.literal("Contiguous") }),
  z.looseObject({
    type: z.literal("ByteLevel"),
    add_prefix_space: z.literal(false),
    use_regex: z.boolean().default(true),
  }),
]);
type Step = z.infer<typeof stepSchema>;

/** Characters of ASCII punctuation and of the punctuation of Unicode. */
const PUNCTUATION = "[\\p{P}\\$\\+<=>\\^~\\|`]+";
const DIGIT_GROUPS = "[0-9][0-9][0-9]";

/** The regular expressions that split a text one after the other; null for any other way. */
export function byteLevelSplit(preTokenizer: unknown): ByteLevelSplit | null {
  const steps = stepsOf(preTokenizer);
  if (!steps) return null;
  const letters = steps.findIndex(({ type }) => type === "ByteLevel");
  if (letters < 0) return null;
  const patterns: string[] = [];
  let numeralsApart = false;
  for (const [i, step] of steps.entries()) {
    const pattern = patternOf(step);
    if (pattern === null) return null;
    if (i <= letters) {
      if (pattern !== "") patterns.push(pattern);
    } else if (step.type === "Digits" && !step.individual_digits) numeralsApart = true;
    // Digits are what they were.
    else if (pattern === DIGIT_GROUPS) patterns.push(pattern);
    else return null;
  }
  return { patterns, numeralsApart };
}

/** The steps of a pre-tokenizer, however deep they lie; null where one is of another kind. */
function stepsOf(part: unknown): readonly Step[] | null {
  const { type, pretokenizers } = (part ?? {}) as Readonly<Record<string, unknown>>;
  if (type !== "Sequence" || !Array.isArray(pretokenizers)) {
    const step = stepSchema.safeParse(part);
    return step.success ? [step.data] : null;
  }
  const inner = pretokenizers.map(stepsOf);
  return inner.every((steps) => steps !== null) ? inner.flat() : null;
}

/** A step as a regular expression whose finds stand alone; empty where it splits nothing. */
function patternOf(step: Step): string | null {
  if (step.type === "Digits") return step.individual_digits ? "\\p{N}" : "\\p{N}+";
  if (step.type === "Punctuation") return PUNCTUATION;
  if (step.type === "ByteLevel") return step.use_regex ? GPT2_WORDS : "";
  const pattern = spelled(step.pattern.Regex);
  const { behavior, invert } = step;
  if (behavior === "Isolated" && !invert) return pattern;
  // What is not found is removed, and everything is found.
  return behavior === "Removed" && invert && findsAll(pattern) ? pattern : null;
}

/** Letters, numerals, signs and spaces are all that there is. */
function findsAll(pattern: string): boolean {
  const signs = / \?\[\^\\s(\\p\{M\})?\\p\{L\}(\\p\{M\})?\\p\{N\}\]\+/;
  return signs.test(pattern) && /\|\\s\+$/.test(pattern) && pattern.includes("\\p{N}");
}
