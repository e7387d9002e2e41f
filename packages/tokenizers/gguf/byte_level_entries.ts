import { type ByteLevelSplit, byteLevelSplit } from "./byte_level_split.ts";
import { byteText } from "./byte_text.ts";
import type { MetadataEntry } from "@lopper/formats";
import { mergesMakeAll } from "./merges_make_all.ts";
import { NEARLY, PRE_TOKENIZERS, type PreTokenizer } from "./pre_tokenizers.ts";
import {
  type BpeJson,
  type Refuse,
  shortened,
  type TokenizerMetadata,
  type TokenTable,
} from "./token_table.ts";
import { z } from "zod";

/** A byte-level BPE as llama.cpp knows it: by the name of its way of splitting text. */
export function byteLevelEntries(
  bpe: BpeJson,
  { tokens, types }: TokenTable,
  { hasBos, refuse }: { readonly hasBos: boolean; readonly refuse: Refuse },
): TokenizerMetadata {
  const { normalizer, model } = bpe;
  const { name, notes } = namedSplit(bpe, hasBos, refuse);
  const entries: MetadataEntry[] = [
    { key: "tokenizer.ggml.model", type: "string", value: "gpt2" },
    { key: "tokenizer.ggml.pre", type: "string", value: name },
    { key: "tokenizer.ggml.tokens", type: "array", elementType: "string", values: tokens },
    { key: "tokenizer.ggml.token_type", type: "array", elementType: "int32", values: types },
    {
      key: "tokenizer.ggml.merges",
      type: "array",
      elementType: "string",
      values: model.merges.map((merge) => typeof merge === "string" ? merge : merge.join(" ")),
    },
  ];
  return { entries, notes: [...notes, ...composedNote(normalizer, refuse)] };
}

type Model = BpeJson["model"];

/** The name that llama.cpp has for a way of splitting text, and what it does otherwise. */
function namedSplit(bpe: BpeJson, hasBos: boolean, refuse: Refuse) {
  const { pre_tokenizer: preTokenizer, model } = bpe;
  const split = byteLevelSplit(preTokenizer);
  const [exact, near] = split
    ? [Object.entries(PRE_TOKENIZERS), NEARLY.map((pre) => [pre.name, pre] as const)]
      .map((known) => splittingSo(known, split, model))
    : [[], []];
  const found = exact.length > 0 ? exact : near;
  if (found.length === 0 || !split) {
    return refuse(
      `its tokenizer splits text into words in a way of its own (${shortened(preTokenizer)})`,
    );
  }
  if (split.numeralsApart && joinsNumerals(model)) {
    refuse("its tokenizer splits bytes that look like numerals from others");
  }
  const ignoreMerges = model.ignore_merges ?? false;
  const wholeWords = ([, pre]: readonly [string, PreTokenizer]) =>
    (pre.ignoreMerges ?? false) === ignoreMerges;
  // A text without a bos token is none that begins with token 11.
  const best = (those: typeof found) =>
    those.find(([, { withoutBos = false }]) => withoutBos === !hasBos) ?? those[0];
  const same = found.filter(wholeWords);
  if (same.length === 0 && !mergesMakeAll(bpe)) {
    refuse(
      ignoreMerges
        ? "its tokenizer looks whole words up before it merges"
        : "its tokenizer merges before it looks whole words up",
    );
  }
  const [name] = best(same.length > 0 ? same : found);
  return { name, notes: exact.length > 0 ? [] : [NEARLY_NOTE] };
}

const NEARLY_NOTE =
  "llama.cpp splits words at capitals beyond A to Z, and at marks that stand alone, otherwise than " +
  "the model's tokenizer: texts with them may get other tokens";

function splittingSo<T extends PreTokenizer>(
  known: readonly (readonly [string, T])[],
  { patterns }: ByteLevelSplit,
  model: Model,
): readonly (readonly [string, T])[] {
  const wanted = patterns.join("\n");
  const same = known.filter(([, pre]) => pre.patterns.join("\n") === wanted);
  if (same.length > 0 || known.length === 0 || joinsDigits(model)) return same;
  const single = (all: readonly string[]) => all.map(oneNumeral).join("\n");
  return known.filter(([, pre]) => single(pre.patterns) === single(patterns));
}

/** Where no token has two numerals, it is all the same how many stand in a word. */
function oneNumeral(pattern: string): string {
  return /^\\p\{N\}(\+|\{1,3\})$/.test(pattern) ? "\\p{N}" : pattern;
}

function joinsDigits({ vocab }: Model): boolean {
  return Object.keys(vocab).some((token) => /\p{N}\p{N}/u.test(byteText(token)));
}

/** Whether a merge makes a token of letters that look like numerals and of others. */
function joinsNumerals({ merges }: Model): boolean {
  return merges.some((merge) => {
    const token = typeof merge === "string" ? merge.replace(" ", "") : merge.join("");
    return /\p{N}/u.test(token) && /\P{N}/u.test(token);
  });
}

const normalizerSchema: z.ZodType<unknown[]> = z.union([
  z.null().transform(() => []),
  z.undefined().transform(() => []),
  z.looseObject({ type: z.literal("NFC") }).transform((step) => [step]),
  z.looseObject({ type: z.literal("Sequence"), normalizers: z.array(z.unknown()) })
    .transform(({ normalizers }) => normalizers),
]);

/** What is lost where a tokenizer composes characters first, a sentence. */
function composedNote(normalizer: unknown, refuse: Refuse): readonly string[] {
  const steps = normalizerSchema.safeParse(normalizer);
  const isNfc = (step: unknown) => (step as { readonly type?: unknown } | null)?.type === "NFC";
  if (!steps.success || !steps.data.every(isNfc)) {
    return refuse(`its tokenizer changes text before it splits it (${shortened(normalizer)})`);
  }
  return steps.data.length === 0 ? [] : [
    "llama.cpp reads letters and the marks on them as they come, where the model's tokenizer composes them (NFC)",
  ];
}
