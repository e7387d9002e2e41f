import { toBase64 } from "../base64.ts";
import type { GgufMetadata } from "@lopper/formats";
import type { Vocabulary } from "./vocabulary.ts";

const SCORES = "tokenizer.ggml.scores";
const CHARSMAP = "tokenizer.ggml.precompiled_charsmap";
const MARK = "▁";
/** Spaces before and behind a text. */
export const OUTER_SPACES = "(?<![\\s\\S]) +| +(?![\\s\\S])";

/**
 * A Unigram of SentencePiece (tokenizer.ggml.model "t5"), as parts of a tokenizer.json.
 * @throws {CheckpointFormatError} when there is not a score for every token, or none is unknown.
 */
export async function unigramTokenizer(
  metadata: GgufMetadata,
  { tokens, special }: Vocabulary,
) {
  const scores = await metadata.numbers(SCORES);
  if (scores?.length !== tokens.length || !scores.every(Number.isFinite)) {
    throw metadata.refuse(
      SCORES,
      `it needs a finite number for each of the ${tokens.length} tokens`,
    );
  }
  if (!special.unk) {
    throw metadata.refuse(
      "tokenizer.ggml.unknown_token_id",
      "it is missing, and a Unigram needs it",
    );
  }
  const charsmap = await metadata.numbers(CHARSMAP);
  const single = metadata.flag("tokenizer.ggml.remove_extra_whitespaces") ?? false;
  // Where spaces are made single, one is put before the first word, too.
  const prefix = single || (metadata.flag("tokenizer.ggml.add_space_prefix") ?? false);
  return {
    addBos: false,
    normalizer: {
      type: "Sequence",
      normalizers: [
        ...(charsmap
          ? [{
            type: "Precompiled",
            precompiled_charsmap: toBase64(Uint8Array.from(charsmap)),
          }]
          : []),
        ...(single
          ? [
            // Spaces alone, where Strip takes all white space.
            { type: "Replace", pattern: { Regex: OUTER_SPACES }, content: "" },
            { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
          ]
          : []),
        ...(prefix ? [{ type: "Prepend", prepend: MARK }] : []),
        { type: "Replace", pattern: { String: " " }, content: MARK },
      ],
    },
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: MARK }, content: " " },
        { type: "Fuse" },
        ...(prefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: "Unigram",
      unk_id: special.unk.id,
      vocab: tokens.map((token, id) => [token, scores[id]]),
      byte_fallback: false,
    },
  };
}
