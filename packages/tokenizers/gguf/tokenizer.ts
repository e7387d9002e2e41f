import { shown, UnsupportedModelError } from "@lopper/core";
import { byteLevelTokenizer } from "./byte_level_tokenizer.ts";
import type { GgufMetadata } from "@lopper/formats";
import { sentencePieceTokenizer } from "./sentence_piece_tokenizer.ts";
import { unigramTokenizer } from "./unigram_tokenizer.ts";
import { readVocabulary, type Vocabulary } from "./vocabulary.ts";

/**
 * tokenizer.json and tokenizer_config.json, as the tokenizers library and transformers read them.
 */
export interface TokenizerFiles {
  readonly tokenizer: Readonly<Record<string, unknown>>;
  readonly config: Readonly<Record<string, unknown>>;
}

export const MODEL_KEY = "tokenizer.ggml.model";

/**
 * Makes the tokenizer of a GGUF file one that the tokenizers library reads and that gives the ids
 * of llama.cpp, special tokens in the text being recognised (`parse_special`).
 * @throws {CheckpointFormatError} when tokens, merges or scores are missing or contradict each
 *   other.
 * @throws {UnsupportedModelError} for tokenizers and pre-tokenizers that Lopper does not know.
 */
export async function tokenizerFiles(metadata: GgufMetadata): Promise<TokenizerFiles> {
  const kind = await metadata.text(MODEL_KEY);
  const make = kind === "gpt2"
    ? byteLevelTokenizer
    : kind === "llama"
    ? sentencePieceTokenizer
    : kind === "t5"
    ? unigramTokenizer
    : null;
  if (!make) {
    throw new UnsupportedModelError(
      `${metadata.file}: ${MODEL_KEY} is ${shown(kind)}; Lopper reads gpt2, llama and t5`,
    );
  }
  const vocabulary = await readVocabulary(metadata, kind!);
  const { addBos, ...parts } = await make(metadata, vocabulary);
  const add = {
    bos: metadata.flag("tokenizer.ggml.add_bos_token") ?? addBos,
    eos: metadata.flag("tokenizer.ggml.add_eos_token") ?? kind === "t5",
  };
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: vocabulary.added,
    ...parts,
    post_processor: surrounding(metadata, vocabulary, add),
  };
  const { bos, eos, unk, pad } = vocabulary.special;
  const config = {
    tokenizer_class: "PreTrainedTokenizerFast",
    add_bos_token: add.bos,
    add_eos_token: add.eos,
    clean_up_tokenization_spaces: false,
    ...(bos && { bos_token: bos.content }),
    ...(eos && { eos_token: eos.content }),
    ...(unk && { unk_token: unk.content }),
    ...(pad && { pad_token: pad.content }),
    ...furtherTokens(metadata, vocabulary),
  };
  return { tokenizer, config };
}

/**
 * Tokens that only llama.cpp has uses for, by their keys in a file: names in tokenizer_config.json
 * end in `_token`, too.
 */
export const FURTHER_TOKENS: Readonly<Record<string, readonly string[]>> = {
  eot: ["eot"],
  eom: ["eom"],
  // So it is written in the format.
  sep: ["seperator"],
  mask: ["mask"],
  fim_pre: ["fim_pre", "prefix"],
  fim_suf: ["fim_suf", "suffix"],
  fim_mid: ["fim_mid", "middle"],
  fim_pad: ["fim_pad"],
  fim_rep: ["fim_rep"],
  fim_sep: ["fim_sep"],
};

/**
 * Programs split text at every token that is named, so that only those are that text is split at
 * anyway.
 */
function furtherTokens(metadata: GgufMetadata, { added }: Vocabulary): Record<string, string> {
  const contents = new Map(added.map(({ id, content }) => [id, content]));
  const found = Object.entries(FURTHER_TOKENS).flatMap(([name, keys]) => {
    const ids = keys.map((key) => metadata.count(`tokenizer.ggml.${key}_token_id`));
    const content = contents.get(ids.find((id) => id !== undefined) ?? -1);
    return content === undefined ? [] : [[`${name}_token`, content]];
  });
  return Object.fromEntries(found);
}

/**
 * What every text begins and ends with. @throws {CheckpointFormatError} when the file asks for it
 * and does not name it.
 */
function surrounding(
  metadata: GgufMetadata,
  { special }: Vocabulary,
  add: { bos: boolean; eos: boolean },
): unknown {
  if (!add.bos && !add.eos) return null;
  const token = (name: "bos" | "eos") => {
    const found = special[name];
    if (found) return found;
    throw metadata.refuse(
      `tokenizer.ggml.${name}_token_id`,
      `it is missing, and texts are to ${name === "bos" ? "begin" : "end"} with that token`,
    );
  };
  const [bos, eos] = [add.bos ? token("bos") : null, add.eos ? token("eos") : null];
  const piece = ({ content }: { content: string }, type_id = 0) => ({
    SpecialToken: { id: content, type_id },
  });
  const sequence = (id: "A" | "B", type_id: number) => [
    ...(bos ? [piece(bos, type_id)] : []),
    { Sequence: { id, type_id } },
    ...(eos ? [piece(eos, type_id)] : []),
  ];
  const used = [bos, eos].filter((t) => t !== null);
  return {
    type: "TemplateProcessing",
    single: sequence("A", 0),
    pair: [...sequence("A", 0), ...sequence("B", 1)],
    special_tokens: Object.fromEntries(
      used.map(({ id, content }) => [content, { id: content, ids: [id], tokens: [content] }]),
    ),
  };
}
