import { byteLevelName } from "./byte_level_tokenizer.ts";
import type { MetadataEntry } from "@lopper/formats";
import type { BpeJson, Refuse, TokenTable } from "./token_table.ts";
import { z } from "zod";

/**
 * The words into which the tokenizers library splits a text by itself (ByteLevel, `use_regex`):
 * those of GPT-2.
 */
const BYTE_LEVEL_WORDS =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const stepSchema = z.discriminatedUnion("type", [
  z.looseObject({
    type: z.literal("Split"),
    pattern: z.strictObject({ Regex: z.string() }),
    behavior: z.literal("Isolated"),
    invert: z.literal(false).optional(),
  }),
  z.looseObject({ type: z.literal("Digits"), individual_digits: z.literal(true) }),
  z.looseObject({
    type: z.literal("ByteLevel"),
    add_prefix_space: z.literal(false),
    use_regex: z.boolean().default(true),
  }),
]);
const preTokenizerSchema = z.union([
  z.looseObject({ type: z.literal("Sequence"), pretokenizers: z.array(stepSchema).min(1) }),
  stepSchema.transform((step) => ({ pretokenizers: [step] })),
]);

/** A byte-level BPE as llama.cpp knows it: by the name of its way of splitting text. */
export function byteLevelEntries(
  { normalizer, pre_tokenizer, model }: BpeJson,
  { tokens, types }: TokenTable,
  refuse: Refuse,
): readonly MetadataEntry[] {
  const patterns = splitPatterns(pre_tokenizer);
  const ignoreMerges = model.ignore_merges ?? false;
  const pre = patterns && byteLevelName({ patterns, ignoreMerges });
  if (!pre) return refuse("its tokenizer splits text into words in a way of its own");
  const isNfc = z.looseObject({ type: z.literal("NFC") }).safeParse(normalizer).success;
  if (normalizer !== null && normalizer !== undefined && !isNfc) {
    refuse("its tokenizer changes text before it splits it");
  }
  return [
    { key: "tokenizer.ggml.model", type: "string", value: "gpt2" },
    { key: "tokenizer.ggml.pre", type: "string", value: pre },
    { key: "tokenizer.ggml.tokens", type: "array", elementType: "string", values: tokens },
    { key: "tokenizer.ggml.token_type", type: "array", elementType: "int32", values: types },
    {
      key: "tokenizer.ggml.merges",
      type: "array",
      elementType: "string",
      values: model.merges.map((merge) => typeof merge === "string" ? merge : merge.join(" ")),
    },
  ];
}

/** The regular expressions that split a text one after the other; null for any other way. */
function splitPatterns(preTokenizer: unknown): readonly string[] | null {
  const parsed = preTokenizerSchema.safeParse(preTokenizer);
  if (!parsed.success) return null;
  const steps = parsed.data.pretokenizers;
  const last = steps[steps.length - 1];
  // Bytes become letters at the end, once.
  if (steps.filter(({ type }) => type === "ByteLevel").length !== 1) return null;
  if (last.type !== "ByteLevel") return null;
  return steps.flatMap((step) => {
    if (step.type === "Split") return [step.pattern.Regex];
    if (step.type === "Digits") return ["\\p{N}"];
    return step.use_regex ? [BYTE_LEVEL_WORDS] : [];
  });
}
