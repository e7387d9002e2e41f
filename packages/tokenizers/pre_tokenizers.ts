type Json = unknown;

const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
const PUNCTUATION = "[\\p{P}!-\\/:-@\\[-`{-~]";

/**
 * Pre-tokenizers that the JavaScript library cuts text by otherwise than the one in Rust (0.23), as
 * splits that cut as that one does: every numeral is a digit, letters are letters beyond ASCII, and
 * a Metaspace cuts before each mark.
 */
const SPLITS: Readonly<Record<string, (part: Readonly<Record<string, Json>>) => Json>> = {
  Digits: ({ individual_digits }) => split("\\p{N}", individual_digits ? "Isolated" : "Contiguous"),
  Punctuation: ({ behavior = "Isolated" }) => split(PUNCTUATION, behavior),
  Whitespace: () => split(`[${WORD}]+|[^\\s${WORD}]+`, "Removed", true),
  WhitespaceSplit: () => split("[^\\p{White_Space}]+", "Removed", true),
  Metaspace: (part) => {
    if (part.split === false) return part;
    const { replacement = "▁" } = part;
    const words = {
      type: "Split",
      pattern: { String: replacement },
      behavior: "MergedWithNext",
      invert: false,
    };
    return { type: "Sequence", pretokenizers: [part, words] };
  },
};

function split(regex: string, behavior: Json, invert = false): Json {
  return { type: "Split", pattern: { Regex: regex }, behavior, invert };
}

/** The pre-tokenizer of a tokenizer.json with such splits in it. */
export function withSplits(part: Json): Json {
  if (typeof part !== "object" || part === null) return part;
  const { type, pretokenizers, ...rest } = part as Record<string, Json>;
  if (type === "Sequence" && Array.isArray(pretokenizers)) {
    return { ...rest, type, pretokenizers: pretokenizers.map(withSplits) };
  }
  const replaced = typeof type === "string" && Object.hasOwn(SPLITS, type) ? SPLITS[type] : null;
  return replaced ? replaced(part as Record<string, Json>) : part;
}
