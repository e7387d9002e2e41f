import type { GgufMetadata } from "@lopper/formats";
import { mergesByScore } from "./merge_scores.ts";
import type { Vocabulary } from "./vocabulary.ts";

const SCORES = "tokenizer.ggml.scores";
const MARK = "▁";

/**
 * A SentencePiece BPE with byte fallback (tokenizer.ggml.model "llama"), as parts of a
 * tokenizer.json. SentencePiece joins the neighbours whose union has the best score; a BPE joins
 * those whose merge comes first, so that the merges are all pairs of tokens that make a third, by
 * its score.
 * @throws {CheckpointFormatError} when there is not a score for every token.
 */
export async function sentencePieceTokenizer(
  metadata: GgufMetadata,
  { tokens, ids, special }: Vocabulary,
) {
  const scores = await metadata.numbers(SCORES);
  if (scores?.length !== tokens.length || !scores.every(Number.isFinite)) {
    throw metadata.refuse(
      SCORES,
      `it needs a finite number for each of the ${tokens.length} tokens`,
    );
  }
  const prefix = metadata.flag("tokenizer.ggml.add_space_prefix") ?? true;
  const spaces = { type: "Replace", pattern: { String: " " }, content: MARK };
  return {
    addBos: true,
    normalizer: prefix
      ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: MARK }, spaces] }
      : spaces,
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: MARK }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(prefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: special.unk?.content ?? null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: mergesByScore(tokens, ids, scores),
    },
  };
}
