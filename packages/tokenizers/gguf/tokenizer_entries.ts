import { readChatTemplates } from "../chat_templates.ts";
import { readTokenizerFiles } from "../files.ts";
import { byteLevelEntries } from "./byte_level_entries.ts";
import { templateEntries } from "./template_entries.ts";
import { sentencePieceEntries } from "./sentence_piece_entries.ts";
import { specialTokens } from "./special_tokens.ts";
import {
  type BpeJson,
  bpeSchema,
  type Refuse,
  type TokenizerMetadata,
  type TokenizerSource,
  tokenTable,
} from "./token_table.ts";

/**
 * The metadata from which llama.cpp makes the tokens that Lopper makes.
 *
 * Unicode normalisation (NFC, in Qwen's files) is the one thing that has no entry: llama.cpp reads
 * text as it comes.
 * @throws what `refuse` does when llama.cpp has no tokenizer that gives the same ids.
 * @throws {CheckpointFormatError} when the model has no tokenizer, or its files are malformed.
 */
export async function tokenizerEntries(
  source: TokenizerSource,
  refuse: Refuse,
): Promise<TokenizerMetadata> {
  const files = await readTokenizerFiles(source.folder);
  const bpe = bpeSchema.safeParse(files.json);
  if (!bpe.success) return refuse("its tokenizer is no BPE of the tokenizers library");
  checkModel(bpe.data, refuse);
  const table = tokenTable(bpe.data, source.rows, refuse);
  const kind = bpe.data.model.byte_fallback
    ? sentencePieceEntries(bpe.data, table, refuse)
    : byteLevelEntries(bpe.data, table, refuse);
  const special = await specialTokens(source, files, table, refuse);
  const { templates } = await readChatTemplates(source.folder);
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
