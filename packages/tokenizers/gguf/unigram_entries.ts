import { fromBase64 } from "../base64.ts";
import type { MetadataEntry } from "@lopper/formats";
import {
  type Refuse,
  shortened,
  TOKEN_TYPE,
  type TokenizerMetadata,
  type TokenTable,
  type UnigramJson,
} from "./token_table.ts";
import { unigramSpaces } from "./unigram_spaces.ts";

/** A Unigram of SentencePiece as llama.cpp has it, which it calls by its first model, T5. */
export function unigramEntries(
  unigram: UnigramJson,
  { tokens, types }: TokenTable,
  refuse: Refuse,
): TokenizerMetadata {
  const { model, normalizer, pre_tokenizer } = unigram;
  const unknown = model.unk_id;
  if (unknown === null || unknown === undefined) {
    return refuse("its tokenizer has no token for what is unknown");
  }
  if (model.byte_fallback) refuse("its Unigram writes unknown characters as bytes");
  const spaces = unigramSpaces(unigram);
  if (!spaces) {
    const parts = shortened({ pre_tokenizer, normalizer });
    return refuse(`its tokenizer marks spaces in a way of its own (${parts})`);
  }
  const { charsmap, prefix, single, notes } = spaces;
  const scores = tokens.map((_, id) => model.vocab[id]?.[1] ?? -10_000);
  const entries: MetadataEntry[] = [
    { key: "tokenizer.ggml.model", type: "string", value: "t5" },
    { key: "tokenizer.ggml.pre", type: "string", value: "default" },
    { key: "tokenizer.ggml.tokens", type: "array", elementType: "string", values: tokens },
    { key: "tokenizer.ggml.scores", type: "array", elementType: "float32", values: scores },
    {
      key: "tokenizer.ggml.token_type",
      type: "array",
      elementType: "int32",
      values: types.map((type, id) => id === unknown ? TOKEN_TYPE.unknown : type),
    },
    { key: "tokenizer.ggml.add_space_prefix", type: "bool", value: prefix },
    { key: "tokenizer.ggml.remove_extra_whitespaces", type: "bool", value: single },
    ...(charsmap === null ? [] : [
      {
        key: "tokenizer.ggml.precompiled_charsmap",
        type: "array",
        elementType: "uint8",
        values: [...fromBase64(charsmap)],
      } as const,
    ]),
  ];
  return { entries, notes };
}
