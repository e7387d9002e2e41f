import { readChatTemplates } from "../chat_templates.ts";
import { readTokenizerFiles } from "../files.ts";
import { byteLevelEntries } from "./byte_level_entries.ts";
import { isSplitAt } from "./end_tokens.ts";
import { templateEntries } from "./template_entries.ts";
import { sentencePieceEntries } from "./sentence_piece_entries.ts";
import { specialTokens } from "./special_tokens.ts";
import {
  type BpeJson,
  bpeSchema,
  type Refuse,
  TOKEN_TYPE,
  type TokenizerMetadata,
  type TokenizerSource,
  type TokenTable,
  tokenTable,
  type UnigramJson,
  unigramSchema,
} from "./token_table.ts";
import { unigramEntries } from "./unigram_entries.ts";

/**
 * The metadata from which llama.cpp makes the tokens that Lopper makes.
 * @throws what `refuse` does when llama.cpp has no tokenizer that gives the same ids.
 * @throws {CheckpointFormatError} when the model has no tokenizer, or its files are malformed.
 */
export async function tokenizerEntries(
  source: TokenizerSource,
  refuse: Refuse,
): Promise<TokenizerMetadata> {
  const files = await readTokenizerFiles(source.folder);
  const unigram = unigramSchema.safeParse(files.json);
  const bpe = bpeSchema.safeParse(files.json);
  const json = unigram.success ? unigram.data : bpe.data;
  if (!json) return refuse("its tokenizer is no BPE and no Unigram of the tokenizers library");
  checkAdded(json, refuse);
  const table = tokenTable(json, source.rows, refuse);
  const special = await specialTokens(source, files, table, refuse);
  const hasBos = special.entries.some(({ key }) => key === "tokenizer.ggml.bos_token_id");
  const kind = unigram.success
    ? unigramEntries(unigram.data, table, refuse)
    : bpeEntries(bpe.data!, table, { hasBos, refuse });
  const { templates } = await readChatTemplates(source.folder);
  return {
    entries: [...kind.entries, ...special.entries, ...templateEntries(templates, refuse)],
    notes: [...kind.notes, ...special.notes, ...splitNotes(table, source), ...strippingNotes(json)],
  };
}

/** Ordinary tokens that llama.cpp takes for special ones by their text, but for ends of texts. */
function splitNotes(
  { tokens, types }: TokenTable,
  { endTokens }: TokenizerSource,
): readonly string[] {
  const found = tokens.filter((text, id) =>
    types[id] === TOKEN_TYPE.normal && isSplitAt(text) && !endTokens.includes(id)
  );
  return found.map((text) =>
    `${
      JSON.stringify(text)
    } is an ordinary token of the model; llama.cpp takes it for a special one, and splits texts at it`
  );
}

function bpeEntries(
  bpe: BpeJson,
  table: TokenTable,
  context: { readonly hasBos: boolean; readonly refuse: Refuse },
): TokenizerMetadata {
  const { model } = bpe;
  const { refuse } = context;
  if (model.dropout) refuse(`its tokenizer has a dropout of ${model.dropout}`);
  if (model.continuing_subword_prefix) refuse("its tokenizer marks the inner parts of words");
  if (model.end_of_word_suffix) refuse("its tokenizer marks the ends of words");
  return model.byte_fallback
    ? sentencePieceEntries(bpe, table, refuse)
    : byteLevelEntries(bpe, table, context);
}

function checkAdded({ added_tokens }: BpeJson | UnigramJson, refuse: Refuse) {
  const words = added_tokens.find((t) => t.single_word || (t.lstrip || t.rstrip) && !t.special);
  if (words) {
    refuse(`its token ${JSON.stringify(words.content)} takes the spaces around it or whole words`);
  }
}

/** Special tokens that take the spaces beside them. */
function strippingNotes({ added_tokens }: BpeJson | UnigramJson): readonly string[] {
  const names = added_tokens.filter((t) => t.lstrip || t.rstrip).map((t) =>
    JSON.stringify(t.content)
  );
  if (names.length === 0) return [];
  const which = names.length > 3 ? `${names[0]} and ${names.length - 1} more` : names.join(", ");
  return [`llama.cpp keeps the spaces beside ${which}, which the model's tokenizer drops`];
}
