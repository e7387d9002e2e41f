import { choice, MAX_SEED, wholeNumber } from "@lopper/options";
import { RUN_DEFAULTS } from "../presets.ts";
import { BOOKS, calibrationParts, MIX, SELF } from "./calibration_part.ts";
import { heldOutText } from "./held_out_text.ts";
import { optional, setting } from "./setting.ts";

/** More than any search can score on; a model that writes its own text would keep it in memory. */
const MAX_SAMPLES = 100_000;

const BOS = choice("which", ["each", "first"]);

/**
 * What candidates are scored on. What files hold is in the digests of a run: where they lie decides
 * nothing.
 */
export const TEXT_OPTIONS = {
  calibration: optional(calibrationParts, {
    help:
      `.txt, .jsonl or .parquet, or a folder of them, to score on; ${MIX}: several kinds that come with Lopper; ` +
      `${BOOKS}: public-domain books; ${SELF}: text that the model writes itself; several mix: PATH=WEIGHT each, or equal shares`,
    stated: `${MIX}; for the embedded model ${BOOKS}`,
    decides: "free",
  }),
  calibrationWidth: optional(calibrationParts, {
    help: "other text for channels and heads where --distribution has shares",
    stated: "the same",
    decides: "free",
  }),
  heldOut: optional(heldOutText, {
    help:
      `text that decides nothing, to measure on after every step; ${MIX}: as much of each kind of text that ` +
      `comes with Lopper, or ${BOOKS}: Moby Dick, at the end only`,
    stated: `${MIX}; for the embedded model ${BOOKS}`,
    decides: "free",
  }),
  samples: setting(wholeNumber(1, MAX_SAMPLES), {
    help: "samples that are scored on",
    usual: ({ preset }) => preset.samples.block,
    decides: "same",
  }),
  widthSamples: setting(wholeNumber(1, MAX_SAMPLES), {
    help: "samples for channels and heads where --distribution has shares",
    usual: ({ preset }) => preset.samples.width,
    decides: "same",
  }),
  seqLen: setting(wholeNumber(2), {
    help: "tokens of a sequence, or what the model takes if that is less",
    usual: ({ preset, longest }) => Math.min(preset.sequenceLength, longest),
    decides: "same",
  }),
  bos: setting(BOS, {
    help:
      "calibration sequences that begin with what the tokenizer puts before a text, if anything (BOS): each, or the first",
    // As it was in runs of before there was a choice.
    schema: BOS.schema.default("first"),
    usual: ({ preset }) => preset.bos,
    decides: "same",
  }),
  seed: setting(wholeNumber(0, MAX_SEED), {
    help: "seed of the draw of samples",
    usual: () => RUN_DEFAULTS.seed,
    decides: "same",
  }),
} as const;
