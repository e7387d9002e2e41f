import { ExportError } from "@lopper/core";
import {
  GgufFolder,
  type MetadataEntry,
  type Model,
  readChatTemplates,
  readTokenizerFiles,
} from "@lopper/model-io";
import { z } from "zod";
import { byteLevelEntries } from "./byte_level.ts";
import { templateEntries } from "./chat_templates.ts";
import { sentencePieceEntries } from "./sentence_piece.ts";
import { specialTokens } from "./special_tokens.ts";

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

/** What is read of a tokenizer.json here. A BPE is the only model that has an equal in llama.cpp. */
const bpeSchema = z.looseObject({
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  added_tokens: z.array(addedTokenSchema).default([]),
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

/** A vocabulary as GGUF has it: one text and one kind for each row of the embedding. */
export interface TokenTable {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly ids: ReadonlyMap<string, number>;
}

/** Refuses a tokenizer, saying what of it llama.cpp does not have. */
export type Refuse = (what: string) => never;

/** A tokenizer as llama.cpp has it. */
export interface TokenizerMetadata {
  readonly entries: readonly MetadataEntry[];
  /** What it has no place for, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * The metadata from which llama.cpp makes the tokens that Lopper makes. A GGUF source's own is taken as it is.
 *
 * Unicode normalisation (NFC, in Qwen's files) is the one thing that has no entry: llama.cpp reads text as it comes.
 * @throws {ExportError} when llama.cpp has no tokenizer that gives the same ids.
 * @throws {CheckpointFormatError} when the model has no tokenizer, or its files are malformed.
 */
export async function tokenizerMetadata(model: Model): Promise<TokenizerMetadata> {
  const { folder, spec, name } = model;
  if (folder instanceof GgufFolder) {
    const entries = await folder.tokenizerEntries();
    if (entries.length > 0) return { entries, notes: [] };
  }
  const refuse: Refuse = (what) => {
    throw new ExportError(
      `${name}: ${what}, which llama.cpp has no equal for; export it with --to safetensors or --to onnx`,
    );
  };
  const files = await readTokenizerFiles(folder);
  const bpe = bpeSchema.safeParse(files.json);
  if (!bpe.success) return refuse("its tokenizer is no BPE of the tokenizers library");
  checkModel(bpe.data, refuse);
  const table = tokenTable(bpe.data, spec.vocabSize, refuse);
  const kind = bpe.data.model.byte_fallback
    ? sentencePieceEntries(bpe.data, table, refuse)
    : byteLevelEntries(bpe.data, table, refuse);
  const special = await specialTokens(model, files, table, refuse);
  const { templates } = await readChatTemplates(folder);
  return {
    entries: [...kind, ...special.entries, ...templateEntries(templates, refuse)],
    notes: special.notes,
  };
}

function checkModel({ model, added_tokens }: BpeJson, refuse: Refuse) {
  if (model.dropout) refuse(`its tokenizer has a dropout of ${model.dropout}`);
  if (model.continuing_subword_prefix) refuse("its tokenizer marks the inner parts of words");
  if (model.end_of_word_suffix) refuse("its tokenizer marks the ends of words");
  const strips = added_tokens.find((t) => t.lstrip || t.rstrip || t.single_word);
  if (strips) {
    refuse(`its token ${JSON.stringify(strips.content)} takes the spaces around it or whole words`);
  }
}

/** @param rows of the embedding; those without a token get a name that no text has. */
function tokenTable({ model, added_tokens }: BpeJson, rows: number, refuse: Refuse): TokenTable {
  const tokens = new Array<string>(rows);
  const types = new Array<number>(rows).fill(TOKEN_TYPE.unused);
  const place = (text: string, id: number, type: number) => {
    if (id >= rows) refuse(`its token ${JSON.stringify(text)} is number ${id} of ${rows}`);
    tokens[id] = text;
    types[id] = type;
  };
  for (const [text, id] of Object.entries(model.vocab)) {
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
