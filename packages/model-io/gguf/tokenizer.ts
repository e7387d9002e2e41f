import { UnsupportedModelError } from "@lopper/core";
import { byteLevelTokenizer } from "./byte_level_tokenizer.ts";
import type { GgufMetadata } from "./metadata.ts";
import { sentencePieceTokenizer } from "./sentence_piece_tokenizer.ts";
import { readVocabulary, type Vocabulary } from "./vocabulary.ts";

/** tokenizer.json and tokenizer_config.json, as the tokenizers library and transformers read them. */
export interface TokenizerFiles {
  readonly tokenizer: Readonly<Record<string, unknown>>;
  readonly config: Readonly<Record<string, unknown>>;
}

const MODEL_KEY = "tokenizer.ggml.model";

/**
 * Makes the tokenizer of a GGUF file one that the tokenizers library reads and that gives the ids of llama.cpp, special
 * tokens in the text being recognised (`parse_special`).
 * @throws {CheckpointFormatError} when tokens, merges or scores are missing or contradict each other.
 * @throws {UnsupportedModelError} for tokenizers and pre-tokenizers that Lopper does not know.
 */
export async function tokenizerFiles(metadata: GgufMetadata): Promise<TokenizerFiles> {
  const kind = await metadata.text(MODEL_KEY);
  const make = kind === "gpt2"
    ? byteLevelTokenizer
    : kind === "llama"
    ? sentencePieceTokenizer
    : null;
  if (!make) {
    throw new UnsupportedModelError(
      `${metadata.file}: ${MODEL_KEY} is ${JSON.stringify(kind)}; Lopper reads gpt2 and llama`,
    );
  }
  const vocabulary = await readVocabulary(metadata, kind === "llama");
  const { addBos, ...parts } = await make(metadata, vocabulary);
  const add = {
    bos: metadata.flag("tokenizer.ggml.add_bos_token") ?? addBos,
    eos: metadata.flag("tokenizer.ggml.add_eos_token") ?? false,
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
  };
  return { tokenizer, config };
}

/** What every text begins and ends with. @throws {CheckpointFormatError} when the file asks for it and does not name it. */
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
