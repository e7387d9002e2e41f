/**
 * What splits a text before a byte-level BPE, by the names that llama.cpp has for it
 * (llama-vocab.cpp, November 2026).
 */
export interface PreTokenizer {
  /** Regular expressions, in order; each splits what the one before it left. */
  readonly patterns: readonly string[];
  /** A whole word that is a token is taken before merges are tried. */
  readonly ignoreMerges?: boolean;
  /** Whether texts begin with the bos token where the file does not say. */
  readonly addBos?: boolean;
  /** No token is taken for the bos token where the file names none; others take token 11. */
  readonly withoutBos?: boolean;
}

export const GPT2_WORDS =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)";
const CONTRACTIONS = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
const SPACES = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const LETTERS = "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
const SIGNS = " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*";
const wordsWithDigits = (digits: string) =>
  `${CONTRACTIONS}|${LETTERS}|${digits}|${SIGNS}|${SPACES}`;

/** Words that begin or end where the case of letters changes. */
const casedWords = (
  { upper, lower, ending, digits }: Readonly<
    Record<"upper" | "lower" | "ending" | "digits", string>
  >,
) =>
  [`${upper}*${lower}+`, `${upper}+${lower}*`]
    .map((letters) => `[^\\r\\n\\p{L}\\p{N}]?${letters}${ending}`)
    .concat(digits, " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*", SPACES).join("|");
/** Letters that llama.cpp takes for upper and lower case: all but a to z, and all but A to Z. */
const TAKEN = { upper: "((?=[\\p{L}])([^a-z]))", lower: "((?=[\\p{L}])([^A-Z]))" };
/** Letters that are of upper and lower case, with those that have none and the marks on them. */
const CASED = {
  upper: "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]",
  lower: "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]",
};
const TEKKEN_WORDS = { ending: "", digits: "\\p{N}" };
const GPT4O_WORDS = { ending: `${CONTRACTIONS}?`, digits: "\\p{N}{1,3}" };

const DEFAULT: PreTokenizer = {
  patterns: ["[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2_WORDS, "\\p{N}+", "[0-9][0-9][0-9]"],
};
const GPT2: PreTokenizer = { patterns: [GPT2_WORDS] };
/** Numerals one by one, before anything else. */
const SMOLLM: PreTokenizer = { patterns: ["\\p{N}", GPT2_WORDS] };
const THREE_DIGITS: PreTokenizer = { patterns: [wordsWithDigits("\\p{N}{1,3}")] };
const LLAMA3: PreTokenizer = { ...THREE_DIGITS, ignoreMerges: true, addBos: true };
const GLM4: PreTokenizer = { ...THREE_DIGITS, ignoreMerges: true, withoutBos: true };
const QWEN2: PreTokenizer = { patterns: [wordsWithDigits("\\p{N}")] };
const TEKKEN: PreTokenizer = {
  patterns: [casedWords({ ...TAKEN, ...TEKKEN_WORDS })],
  ignoreMerges: true,
  addBos: true,
};
const GPT4O: PreTokenizer = { patterns: [casedWords({ ...TAKEN, ...GPT4O_WORDS })] };
const DEEPSEEK_LETTERS =
  "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼ" +
  "ℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃";
const DEEPSEEK_CJK = "[一-龥ࠀ-一가-퟿]+";
const DEEPSEEK_LLM: PreTokenizer = {
  patterns: [
    "[\\r\\n]",
    `\\s?[${DEEPSEEK_LETTERS}]+`,
    "\\s?[!-/:-~！-／：-～‘-‟　-。]+",
    "\\s+$",
    DEEPSEEK_CJK,
    "\\p{N}+",
  ],
};
const DEEPSEEK_CODER: PreTokenizer = {
  patterns: ["[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", DEEPSEEK_CJK, "\\p{N}"],
};
const DEEPSEEK_V3: PreTokenizer = {
  patterns: [
    "\\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|" +
    ` ?[\\p{P}\\p{S}]+[\\r\\n]*|${SPACES}`,
  ],
};
const FALCON: PreTokenizer = {
  patterns: ["[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2_WORDS, "[0-9][0-9][0-9]"],
};
const BLOOM_WORDS = " ?[^(\\s|.,!?…。，、।۔،)]+";
const BLOOM: PreTokenizer = { patterns: [BLOOM_WORDS] };

/**
 * By the names that files give them. Of names for the same, the first is written: the oldest, which
 * most programs know.
 */
export const PRE_TOKENIZERS: Readonly<Record<string, PreTokenizer>> = {
  ...named(DEFAULT, "default"),
  ...named(
    GPT2,
    ...["gpt-2", "phi-2", "olmo", "mpt", "jais", "trillion", "granite-docling", "gigachat"],
    ...["a.x-4.0", "mellum", "modern-bert", "exaone4"],
  ),
  ...named(
    SMOLLM,
    ...["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"],
    "mellum2",
  ),
  ...named(
    LLAMA3,
    ...["llama3", "llama-v3", "llama-bpe", "falcon3", "pixtral", "falcon-h1", "midm-2.0", "lfm2"],
  ),
  ...named(GLM4, "glm4", "glm5"),
  ...named(THREE_DIGITS, "dbrx", "smaug-bpe"),
  ...named({ ...THREE_DIGITS, withoutBos: true }, "chatglm-bpe"),
  ...named(
    QWEN2,
    ...["qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "solar-open", "kormo"],
    ...["f2llmv2", "grok-2"],
  ),
  ...named({
    patterns: [
      `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|` +
      ` ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES}`,
    ],
  }, "qwen35"),
  ...named(TEKKEN, "tekken"),
  ...named(GPT4O, "gpt-4o", "llama4", "kanana2"),
  ...named(DEEPSEEK_LLM, "deepseek-llm"),
  ...named(DEEPSEEK_CODER, "deepseek-coder"),
  ...named(DEEPSEEK_V3, "deepseek-v3", "hunyuan-dense", "joyai-llm"),
  ...named(FALCON, "falcon"),
  ...named({
    patterns: [
      `${CONTRACTIONS}|${LETTERS}|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|${SPACES}`,
    ],
  }, "seed-coder"),
  ...named({
    patterns: ["\\p{N}{1,3}", wordsWithDigits("\\p{N}+")],
    ignoreMerges: true,
  }, "minicpm5"),
  ...named(BLOOM, "bloom", "poro-chat", "gpt3-finnish"),
  ...named({ patterns: [BLOOM_WORDS, "\\p{N}"] }, "viking"),
};

/** What llama.cpp splits only nearly so. */
export const NEARLY: readonly (PreTokenizer & { readonly name: string })[] = [
  { ...TEKKEN, patterns: [casedWords({ ...CASED, ...TEKKEN_WORDS })], name: "tekken" },
  { ...GPT4O, patterns: [casedWords({ ...CASED, ...GPT4O_WORDS })], name: "gpt-4o" },
];

function named(pre: PreTokenizer, ...names: readonly string[]) {
  return Object.fromEntries(names.map((name) => [name, pre]));
}

/** Ways to write a pattern that find the same, and the one that stands above. */
const SPELLINGS: readonly (readonly [RegExp, string])[] = [
  // As characters of their own.
  [/\r/g, "\\r"],
  [/\n/g, "\\n"],
  [/\(\?i:'s\|'t\|'re\|'ve\|'m\|'ll\|'d\)/g, CONTRACTIONS],
  [/'\(\?i:\[sdmt\]\|ll\|ve\|re\)/g, CONTRACTIONS],
  [/'\(\?:\[sSdDmMtT\]\|\[lL\]\[lL\]\|\[vV\]\[eE\]\|\[rR\]\[eE\]\)/g, CONTRACTIONS],
  [/\\p\{N\}\{1\}/g, "\\p{N}"],
  // What follows has no character in common with what is repeated.
  [/\[\^\\r\\n\\p\{L\}\\p\{N\}\]\?\+/g, "[^\\r\\n\\p{L}\\p{N}]?"],
  [/ \?\[\^\\s\\p\{L\}\\p\{N\}\]\+\+/g, " ?[^\\s\\p{L}\\p{N}]+"],
  // Both end behind the last line end of the space.
  [/\\s\*\[\\r\\n\]\|/g, "\\s*[\\r\\n]+|"],
];

/**
 * A pattern as it stands in the tables above, however a tokenizer.json writes it: how letters of
 * both cases are written, and what follows from what stands beside it.
 */
export function spelled(pattern: string): string {
  const written = SPELLINGS.reduce((before, [way, ours]) => before.replace(way, ours), pattern);
  // What no pattern finds is a piece, too.
  return written === `${GPT2_WORDS}|\\s+` ? GPT2_WORDS : written;
}
