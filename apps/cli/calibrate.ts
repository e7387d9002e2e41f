import { longestSequence, type ModelSpec, type RunFlags, UsageError } from "@lopper/core";
import { CALIBRATION_TEXT, HELD_OUT_TEXT } from "@lopper/demo-model";
import {
  apportioned,
  beginning,
  type CalibrationSet,
  calibrationSet,
  calibrationSetIfEnough,
  drawMixed,
  everySample,
  isEnoughAside,
  joined,
  keepAside,
  listOf,
  mixedAside,
  type SampleSource,
  type SetText,
} from "@lopper/importance";
import type { Tokenizer } from "@lopper/model-io";
import { repairTokens } from "@lopper/recovery";
import { fileURLToPath } from "node:url";
import { type CalibrationPart, calibrationParts } from "./calibration_parts.ts";
import { SELF, SELF_TOKENS } from "./self_calibration.ts";
import { readSamples } from "./text_files.ts";

/** The texts of a run, cut into sequences. */
export interface RunTexts {
  readonly block: CalibrationSet;
  readonly width: CalibrationSet;
  /** Text that orders and repairs are learnt from: that of `block`, and samples that were drawn for nothing else. */
  readonly fit: CalibrationSet;
  /** Calibration text that both and swaps are judged on, apart from `fit`; null where there is too little of it, or no need. */
  readonly aside: CalibrationSet | null;
  /** Text that decides nothing: that of --held-out, or the embedded one. */
  readonly heldOut: CalibrationSet;
  /** Samples that were drawn for each; fewer than asked for where the file has no more. */
  readonly drawn: { readonly block: number; readonly width: number };
}

/**
 * For each sample that candidates are scored on, so many further ones may be learnt from, as far as `repairTokens` go: an
 * order takes one pass over them and a repair one pass a block, which is cheap beside a search.
 */
const FIT_SAMPLES = 10;

/**
 * Reads, draws, joins, tokenises and cuts the calibration and held-out texts.
 * @param own writes text for --calibration self: so many texts.
 * @throws {UsageError} when sequences are longer than the model takes.
 */
export async function readTexts(
  flags: RunFlags,
  spec: ModelSpec,
  tokenizer: Tokenizer,
  own: (count: number) => Promise<readonly string[]>,
): Promise<RunTexts> {
  const longest = longestSequence(spec);
  if (flags.seqLen > longest) {
    throw new UsageError(
      `--seq-len is ${flags.seqLen}; this model takes ${longest} tokens at most`,
    );
  }
  const embedded = fileURLToPath(CALIBRATION_TEXT);
  const blockText = calibrationParts(flags.calibration ?? embedded);
  const widthText = flags.calibrationWidth ? calibrationParts(flags.calibrationWidth) : blockText;
  const needsAside = flags.order === "auto" || flags.recover !== "none" || flags.swap !== "none";
  const learns = flags.order !== "l1" || flags.recover !== "none";
  const most = Math.max(flags.samples, flags.widthSamples);
  const drawn = needsAside ? 2 * most : most;
  const learnt = learns ? FIT_SAMPLES * flags.samples : 0;
  const learntTokens = repairTokens(spec);
  // A file is asked for what there is; a model writes no more than is used.
  const learntOwn = Math.min(
    learnt,
    Math.ceil(learntTokens / Math.min(SELF_TOKENS, flags.seqLen)),
  );
  const read = async (parts: readonly CalibrationPart[], ownSamples: number) => {
    const counts = apportioned(parts.map(({ weight }) => weight), ownSamples);
    const sources: SampleSource[] = [];
    for (const [i, { path, weight }] of parts.entries()) {
      sources.push({
        samples: path === SELF
          ? listOf(await own(Math.max(1, counts[i])))
          : await readSamples(path),
        weight,
      });
    }
    return sources;
  };
  const heldOutFile = flags.heldOut ?? fileURLToPath(HELD_OUT_TEXT);
  const heldOut = await readSamples(heldOutFile);
  const sources = await read(blockText, drawn + learntOwn);
  const block = drawMixed(sources, flags.samples, flags.seed);
  const same = JSON.stringify(widthText) === JSON.stringify(blockText);
  const width = drawMixed(
    same ? sources : await read(widthText, flags.widthSamples),
    flags.widthSamples,
    flags.seed,
  );
  const set = (samples: SetText["samples"], what: string) =>
    calibrationSet({ samples, what }, tokenizer, flags.seqLen);
  const blockSet = await set(block.read(), `calibration text ${nameOf(blockText)}`);
  const taken = same ? most : flags.samples;
  /** Up to `count` samples that nothing else was drawn for, behind the first `skipped` of them. */
  const further = (skipped: number, count: number, options: Omit<SetText, "samples">) =>
    calibrationSetIfEnough(
      { samples: mixedAside(sources, taken + skipped, count, flags.seed).read(), ...options },
      tokenizer,
      flags.seqLen,
    );
  // Of all that is drawn for it no more than its beginning is learnt from.
  const toLearn = { what: "text to learn from", beginning: true };
  const parts = needsAside
    ? await judged(blockSet, await further(0, flags.samples, { what: "text kept aside" }))
    : { learn: blockSet, aside: null };
  const more = learns ? await further(flags.samples, learnt, toLearn) : null;
  return {
    block: blockSet,
    aside: parts.aside,
    fit: await beginning(more ? await joined(parts.learn, more) : parts.learn, learntTokens),
    width: await set(width.read(), `calibration text ${nameOf(widthText)}`),
    heldOut: await set(everySample(heldOut), `held-out text ${heldOutFile}`),
    drawn: { block: block.count, width: width.count },
  };
}

function nameOf(parts: readonly CalibrationPart[]): string {
  return parts.map(({ path }) => path).join(", ");
}

/** What to learn from and what to judge by: further samples, or a part of the set where the file has no more. */
async function judged(
  block: CalibrationSet,
  further: CalibrationSet | null,
): Promise<{ readonly learn: CalibrationSet; readonly aside: CalibrationSet | null }> {
  if (further && isEnoughAside(further)) return { learn: block, aside: further };
  return await keepAside(block) ?? { learn: block, aside: null };
}
