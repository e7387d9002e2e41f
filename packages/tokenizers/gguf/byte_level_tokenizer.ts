import { shown, UnsupportedModelError } from "@lopper/core";
import type { GgufMetadata } from "@lopper/formats";
import { PRE_TOKENIZERS } from "./pre_tokenizers.ts";
import type { Vocabulary } from "./vocabulary.ts";

const PRE_KEY = "tokenizer.ggml.pre";
const MERGES = "tokenizer.ggml.merges";

/**
 * A byte-level BPE (tokenizer.ggml.model "gpt2"), as parts of a tokenizer.json.
 * @throws {UnsupportedModelError} for a pre-tokenizer that Lopper does not know.
 * @throws {CheckpointFormatError} when a merge is no pair of tokens that make a third.
 */
export async function byteLevelTokenizer(metadata: GgufMetadata, { tokens, ids }: Vocabulary) {
  const pre = await metadata.text(PRE_KEY) ?? "default";
  if (!Object.hasOwn(PRE_TOKENIZERS, pre)) {
    throw new UnsupportedModelError(
      `${metadata.file}: ${PRE_KEY} is ${shown(pre)}; Lopper knows ${
        Object.keys(PRE_TOKENIZERS).join(", ")
      }`,
    );
  }
  if (metadata.flag("tokenizer.ggml.add_space_prefix")) {
    throw new UnsupportedModelError(
      `${metadata.file}: tokenizer.ggml.add_space_prefix is true; Lopper knows it of SentencePiece vocabularies only`,
    );
  }
  const listed = await metadata.texts(MERGES);
  if (!listed) throw metadata.refuse(MERGES, "it is missing");
  const merges = listed.map((merge) => {
    // A token may begin with a space, and none is empty.
    const space = merge.indexOf(" ", 1);
    const pair = [merge.slice(0, space), merge.slice(space + 1)];
    if (space > 0 && ids.has(pair[0]) && ids.has(pair[1]) && ids.has(pair.join(""))) return pair;
    throw metadata.refuse(
      MERGES,
      `${shown(merge)} is no pair of tokens that make a third`,
    );
  });
  const { patterns, ignoreMerges = false, addBos = false } = PRE_TOKENIZERS[pre];
  return {
    addBos,
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        ...patterns.map((pattern) => ({
          type: "Split",
          pattern: { Regex: pattern },
          behavior: "Isolated",
          invert: false,
        })),
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: ignoreMerges,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}
