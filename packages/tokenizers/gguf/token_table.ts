import type { MetadataEntry, ModelFolder } from "@lopper/formats";
import { z } from "zod";

/** Kinds of tokens (llama.h, `llama_token_type`). */
export const TOKEN_TYPE = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

const addedTokenSchema = z.looseObject({
  id: z.int().nonnegative(),
  content: z.string(),
  special: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  single_word: z.boolean().default(false),
});

const parts = {
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  added_tokens: z.array(addedTokenSchema).default([]),
};

/** What is read here of a tokenizer.json with a BPE. */
export const bpeSchema = z.looseObject({
  ...parts,
  model: z.looseObject({
    type: z.literal("BPE").optional(),
    vocab: z.record(z.string(), z.int().nonnegative()),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
    dropout: z.number().nullish(),
    unk_token: z.string().nullish(),
    continuing_subword_prefix: z.string().nullish(),
    end_of_word_suffix: z.string().nullish(),
    byte_fallback: z.boolean().optional(),
    ignore_merges: z.boolean().optional(),
  }),
});
export type BpeJson = z.infer<typeof bpeSchema>;

/** What is read here of a tokenizer.json with a Unigram, whose tokens are in a list with scores. */
export const unigramSchema = z.looseObject({
  ...parts,
  model: z.looseObject({
    type: z.literal("Unigram"),
    unk_id: z.int().nonnegative().nullish(),
    vocab: z.array(z.tuple([z.string(), z.number()])),
    byte_fallback: z.boolean().optional(),
  }),
});
export type UnigramJson = z.infer<typeof unigramSchema>;

/** A vocabulary as GGUF has it: one text and one kind for each row of the embedding. */
export interface TokenTable {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly ids: ReadonlyMap<string, number>;
}

/** Refuses a tokenizer, saying what of it llama.cpp does not have. */
export type Refuse = (what: string) => never;

/** A tokenizer and what of its model a GGUF file says with it. */
export interface TokenizerSource {
  readonly folder: ModelFolder;
  /** Rows of the embedding. */
  readonly rows: number;
  /** Ids at which texts end. */
  readonly endTokens: readonly number[];
}

/** A tokenizer as llama.cpp has it. */
export interface TokenizerMetadata {
  readonly entries: readonly MetadataEntry[];
  /** What it has no place for, a sentence each. */
  readonly notes: readonly string[];
}

/** @param rows of the embedding; those without a token get a name that no text has. */
export function tokenTable(
  { model, added_tokens }: BpeJson | UnigramJson,
  rows: number,
  refuse: Refuse,
): TokenTable {
  const tokens = new Array<string>(rows);
  const types = new Array<number>(rows).fill(TOKEN_TYPE.unused);
  const place = (text: string, id: number, type: number) => {
    if (id >= rows) refuse(`its token ${JSON.stringify(text)} is number ${id} of ${rows}`);
    tokens[id] = text;
    types[id] = type;
  };
  const { vocab } = model;
  const listed = Array.isArray(vocab)
    ? vocab.map(([text], id) => [text, id] as const)
    : Object.entries(vocab);
  for (const [text, id] of listed) {
    const byte = model.byte_fallback && /^<0x[0-9A-F]{2}>$/.test(text);
    place(text, id, byte ? TOKEN_TYPE.byte : TOKEN_TYPE.normal);
  }
  for (const { id, content, special } of added_tokens) {
    const unknown = model.byte_fallback && content === model.unk_token;
    const { control, userDefined } = TOKEN_TYPE;
    place(content, id, unknown ? TOKEN_TYPE.unknown : special ? control : userDefined);
  }
  for (let id = 0; id < rows; id++) tokens[id] ??= `[PAD${id}]`;
  const ids = new Map(tokens.map((text, id) => [text, id]));
  if (ids.size !== rows) refuse("two tokens of its vocabulary have the same text");
  return { tokens, types, ids };
}

/** The beginning of a part of tokenizer.json, for a message. */
export function shortened(part: unknown): string {
  const text = JSON.stringify(part ?? null);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
