import { type ModelSpec, type RunFlags, UsageError } from "@lopper/core";
import { CALIBRATION_TEXT, HELD_OUT_TEXT } from "@lopper/demo-model";
import { type CalibrationSet, calibrationSet, drawSamples } from "@lopper/importance";
import type { Tokenizer } from "@lopper/model-io";
import { fileURLToPath } from "node:url";
import { readSamples } from "./text_files.ts";

/** The texts of a run, cut into sequences. */
export interface RunTexts {
  readonly block: CalibrationSet;
  readonly width: CalibrationSet;
  /** Text that decides nothing: that of --held-out, or the embedded one. */
  readonly heldOut: CalibrationSet;
  /** Samples that were drawn for each; fewer than asked for where the file has no more. */
  readonly drawn: { readonly block: number; readonly width: number };
}

/**
 * Reads, draws, joins, tokenises and cuts the calibration and held-out texts.
 * @throws {UsageError} when sequences are longer than the model takes.
 */
export async function readTexts(
  flags: RunFlags,
  spec: ModelSpec,
  tokenizer: Tokenizer,
): Promise<RunTexts> {
  const longest = Math.min(spec.maxPositions, spec.slidingWindow ?? Infinity);
  if (flags.seqLen > longest) {
    throw new UsageError(
      `--seq-len is ${flags.seqLen}; this model takes ${longest} tokens at most`,
    );
  }
  const embedded = fileURLToPath(CALIBRATION_TEXT);
  const blockFile = flags.calibration ?? embedded;
  const widthFile = flags.calibrationWidth ?? blockFile;
  const draw = async (file: string, count: number) =>
    drawSamples(await readSamples(file), count, flags.seed);
  const block = await draw(blockFile, flags.samples);
  const width = await draw(widthFile, flags.widthSamples);
  const heldOutFile = flags.heldOut ?? fileURLToPath(HELD_OUT_TEXT);
  const heldOut = await readSamples(heldOutFile);
  const set = (samples: readonly string[], what: string) =>
    calibrationSet(samples, tokenizer, flags.seqLen, what);
  return {
    block: await set(block, `calibration text ${blockFile}`),
    width: await set(width, `calibration text ${widthFile}`),
    heldOut: await set(heldOut, `held-out text ${heldOutFile}`),
    drawn: { block: block.length, width: width.length },
  };
}
