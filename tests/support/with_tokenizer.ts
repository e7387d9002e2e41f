import { MemoryFolder } from "@lopper/formats";
import { type Model } from "@lopper/models";

/** The 256 letters that stand for bytes in a byte-level vocabulary (GPT-2, encoder.py). */
function byteLetters(): readonly string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCodePoint(printable ? byte : next++);
  });
}

/**
 * A folder with a byte-level tokenizer for a tiny model that has none, as far as its vocabulary
 * reaches.
 */
export function withTokenizer({ architecture, name }: Model): MemoryFolder {
  const vocab = Object.fromEntries(
    byteLetters().slice(0, architecture.vocabSize).map((letter, id) => [letter, id]),
  );
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, use_regex: true },
    model: { type: "BPE", vocab, merges: [] },
  };
  return new MemoryFolder(name, { "tokenizer.json": JSON.stringify(tokenizer) });
}
