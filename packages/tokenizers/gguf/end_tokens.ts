import type { GgufMetadata } from "@lopper/formats";
import { MODEL_KEY } from "./tokenizer.ts";
import { TOKENS, USUAL_IDS } from "./vocabulary.ts";

/** Texts of tokens by which a turn ends, where a file does not say which token that is. */
export const EOT_TEXTS: readonly string[] = [
  "<|eot_id|>",
  "<|im_end|>",
  "<|end|>",
  "<end_of_turn>",
  "<|endoftext|>",
  "<|end_of_text|>",
  "<EOT>",
  "_<EOT>",
  "[EOT]",
  "<｜end▁of▁sentence｜>",
  "<end_of_utterance>",
];
/** The text of the token by which a message to a tool ends. */
export const EOM_TEXT = "<|eom_id|>";
/** Texts of tokens that end texts whatever a file says. */
const END_TEXTS: readonly string[] = [
  ...EOT_TEXTS,
  EOM_TEXT,
  "</s>",
  "<eos>",
  "[EOS]",
  "<|return|>",
  "<|call|>",
  "<|calls|>",
  "<|flush|>",
  "<turn|>",
  "<|tool_response>",
  "[e~[",
];
/** Tokens of code with holes that end texts, where a file does not say which they are. */
const FIM_TEXTS = {
  fim_pad: ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
  fim_rep: ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
  fim_sep: ["<|file_sep|>"],
} as const;
/** Tokens of code with holes that end none. */
const HOLE_TEXTS: readonly string[] = [
  ...["<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>"],
  ...["<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>"],
  ...["<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>"],
];
const SPECIAL_TEXTS: ReadonlySet<string> = new Set([
  ...END_TEXTS,
  ...Object.values(FIM_TEXTS).flat(),
  ...HOLE_TEXTS,
]);

/** Whether llama.cpp splits text at a token of this text, whatever a file says of it. */
export function isSplitAt(text: string): boolean {
  return SPECIAL_TEXTS.has(text);
}

/**
 * Tokens that end none where all of the others are there, too: in these vocabularies they mean
 * something else.
 */
const NO_ENDS: readonly { readonly text: string; readonly beside: readonly string[] }[] = [
  { text: "<|end|>", beside: ["<|return|>", "<|call|>"] },
  { text: "<|end|>", beside: ["<|return|>", "<|calls|>"] },
  { text: "<|end|>", beside: ["<|flush|>", "<|call|>"] },
  { text: "<|end|>", beside: ["<|flush|>", "<|calls|>"] },
  { text: "</s>", beside: ["<|tool_response>"] },
];

const KEYS = ["eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep"] as const;
/** Ids of tokens that end texts, by the names under which a file has them. */
export type NamedEnds = Readonly<Partial<Record<typeof KEYS[number], number>>>;

/**
 * The tokens at which llama.cpp ends a text: those that a file names, and those whose text it knows
 * (llama-vocab.cpp, `special_eog_ids`, November 2026).
 * @param ids of tokens by their texts.
 */
export function llamaCppEnds(ids: ReadonlyMap<string, number>, named: NamedEnds) {
  const known = (texts: readonly string[]) => texts.flatMap((text) => ids.get(text) ?? []);
  const fim = (["fim_pad", "fim_rep", "fim_sep"] as const).map((key) =>
    named[key] ?? known(FIM_TEXTS[key])[0]
  );
  const { eos, eot, eom } = named;
  const all = [eos, eot, eom, ...fim, ...known(END_TEXTS)].filter((id) => id !== undefined);
  const ends = new Set(all);
  for (const { text, beside } of NO_ENDS) {
    if ([text, ...beside].every((t) => ends.has(ids.get(t) ?? -1))) ends.delete(ids.get(text)!);
  }
  return [...ends];
}

/**
 * The tokens at which llama.cpp ends a text of a file's model; an id that no token has ends none.
 */
export async function endTokens(metadata: GgufMetadata): Promise<readonly number[]> {
  const tokens = await metadata.texts(TOKENS) ?? [];
  const usual = USUAL_IDS[await metadata.text(MODEL_KEY) ?? ""];
  const named = KEYS.flatMap((key) => {
    const fallback = key === "eos" ? usual?.eos : undefined;
    const id = metadata.count(`tokenizer.ggml.${key}_token_id`) ?? fallback;
    return id !== undefined && id < tokens.length ? [[key, id] as const] : [];
  });
  return llamaCppEnds(new Map(tokens.map((text, id) => [text, id])), Object.fromEntries(named));
}
