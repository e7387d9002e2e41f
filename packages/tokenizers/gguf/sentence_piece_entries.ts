import { markedSpaces } from "./marked_spaces.ts";
import { mergeScores } from "./merge_scores.ts";
import type { MetadataEntry } from "@lopper/formats";
import {
  type BpeJson,
  type Refuse,
  shortened,
  type TokenizerMetadata,
  type TokenTable,
} from "./token_table.ts";

/** A BPE with byte fallback as SentencePiece has it. */
export function sentencePieceEntries(
  bpe: BpeJson,
  { tokens, types, ids }: TokenTable,
  refuse: Refuse,
): TokenizerMetadata {
  const { normalizer, pre_tokenizer, model } = bpe;
  const spaces = markedSpaces(bpe);
  if (!spaces) {
    const parts = shortened({ normalizer, pre_tokenizer });
    return refuse(`its tokenizer marks spaces in a way of its own (${parts})`);
  }
  for (let byte = 0; byte < 256; byte++) {
    const name = `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
    if (!ids.has(name)) refuse(`its tokenizer has no token ${name}`);
  }
  if (model.ignore_merges) refuse("its tokenizer looks whole words up before it merges");
  const entries: MetadataEntry[] = [
    { key: "tokenizer.ggml.model", type: "string", value: "llama" },
    { key: "tokenizer.ggml.pre", type: "string", value: "default" },
    { key: "tokenizer.ggml.tokens", type: "array", elementType: "string", values: tokens },
    {
      key: "tokenizer.ggml.scores",
      type: "array",
      elementType: "float32",
      values: mergeScores(model.merges, { tokens, ids }, refuse),
    },
    { key: "tokenizer.ggml.token_type", type: "array", elementType: "int32", values: types },
    { key: "tokenizer.ggml.add_space_prefix", type: "bool", value: spaces.prefix },
  ];
  return { entries, notes: spaces.notes };
}
