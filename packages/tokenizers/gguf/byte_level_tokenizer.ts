import { shown, UnsupportedModelError } from "@lopper/core";
import type { GgufMetadata } from "@lopper/formats";
import type { Vocabulary } from "./vocabulary.ts";

const PRE_KEY = "tokenizer.ggml.pre";
const MERGES = "tokenizer.ggml.merges";

/**
 * Patterns of words, as llama.cpp has them (llama-vocab.cpp): each splits what the one before it
 * left.
 */
const GPT2_WORDS = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)";
const CONTRACTIONS = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
const wordsWithDigits = (digits: string) =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

interface PreTokenizer {
  readonly patterns: readonly string[];
  /** A whole word that is a token is taken before merges are tried. */
  readonly ignoreMerges?: boolean;
  /** Whether texts begin with the bos token where the file does not say. */
  readonly addBos?: boolean;
}

const DEFAULT: PreTokenizer = {
  patterns: ["[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2_WORDS, "\\p{N}+", "[0-9][0-9][0-9]"],
};
const GPT2: PreTokenizer = { patterns: [GPT2_WORDS] };
const SMOLLM: PreTokenizer = { patterns: ["\\p{N}", GPT2_WORDS] };
const LLAMA3: PreTokenizer = {
  patterns: [wordsWithDigits("\\p{N}{1,3}")],
  ignoreMerges: true,
  addBos: true,
};
const QWEN2: PreTokenizer = { patterns: [wordsWithDigits("\\p{N}")] };

/**
 * Mistral Nemo's, with the letters that llama.cpp takes for upper and lower case: all but a to z,
 * and all but A to Z.
 */
const UPPER = "((?=[\\p{L}])([^a-z]))", LOWER = "((?=[\\p{L}])([^A-Z]))";
const TEKKEN: PreTokenizer = {
  patterns: [
    `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*|\\p{N}|` +
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ],
  ignoreMerges: true,
  addBos: true,
};

/** By the names that files of the families read here give them. */
const PRE_TOKENIZERS: Readonly<Record<string, PreTokenizer>> = {
  "default": DEFAULT,
  "gpt-2": GPT2,
  "smollm": SMOLLM,
  "llama3": LLAMA3,
  "llama-v3": LLAMA3,
  "llama-bpe": LLAMA3,
  "falcon3": LLAMA3,
  "pixtral": LLAMA3,
  "qwen2": QWEN2,
  "deepseek-r1-qwen": QWEN2,
  "megrez": QWEN2,
  "tekken": TEKKEN,
};

/** How a tokenizer.json splits text before a byte-level BPE. */
export interface ByteLevelSplit {
  /** Regular expressions, in order; each splits what the one before it left. */
  readonly patterns: readonly string[];
  readonly ignoreMerges: boolean;
}

/**
 * The name that llama.cpp has for a way of splitting; undefined where it is none of those that
 * Lopper knows. Patterns are compared as they are written: here, or in the tokenizer.json files of
 * the models that the names are from.
 */
export function byteLevelName({ patterns, ignoreMerges }: ByteLevelSplit): string | undefined {
  const written = patterns.map((pattern) => SAME_PATTERNS[pattern] ?? pattern).join("\n");
  return Object.entries(PRE_TOKENIZERS).find(([, known]) =>
    known.patterns.join("\n") === written && (known.ignoreMerges ?? false) === ignoreMerges
  )?.[0];
}

/**
 * Patterns of tokenizer.json files that split as ours do: only how letters of both cases are
 * written differs, or \s+ ends it.
 */
const SAME_PATTERNS: Readonly<Record<string, string>> = {
  [`${GPT2_WORDS}|\\s+`]: GPT2_WORDS,
  ...Object.fromEntries(["\\p{N}{1,3}", "\\p{N}"].map((digits) => {
    const ours = wordsWithDigits(digits);
    return [ours.replace(CONTRACTIONS, "(?i:'s|'t|'re|'ve|'m|'ll|'d)"), ours];
  })),
};

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
