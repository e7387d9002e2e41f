/**
 * Calibration text of several kinds, for models that people bring: some 80 kB each, `.jsonl` with a
 * field `text`. `data/README.md` has the sources and their licences.
 */
export const CALIBRATION_TEXTS = {
  /** What a public service writes of its work on the web. */
  articles: new URL("./data/articles.jsonl", import.meta.url),
  /** Python, with its documentation. */
  code: new URL("./data/code.jsonl", import.meta.url),
  /** History of countries, and what they do in space. */
  countries: new URL("./data/countries.jsonl", import.meta.url),
  /** Instructions and what was answered. */
  instructions: new URL("./data/instructions.jsonl", import.meta.url),
  /** Explanations of a programming language. */
  manuals: new URL("./data/manuals.jsonl", import.meta.url),
  /** Problems in words, and the way to their solution. */
  mathematics: new URL("./data/mathematics.jsonl", import.meta.url),
} as const;

/** Some 8 kB of each kind, of files of which nothing is calibrated on: to measure on. */
export const HELD_OUT_TEXTS: Readonly<Record<keyof typeof CALIBRATION_TEXTS, URL>> = {
  articles: new URL("./data/held_out/articles.jsonl", import.meta.url),
  code: new URL("./data/held_out/code.jsonl", import.meta.url),
  countries: new URL("./data/held_out/countries.jsonl", import.meta.url),
  instructions: new URL("./data/held_out/instructions.jsonl", import.meta.url),
  manuals: new URL("./data/held_out/manuals.jsonl", import.meta.url),
  mathematics: new URL("./data/held_out/mathematics.jsonl", import.meta.url),
};
