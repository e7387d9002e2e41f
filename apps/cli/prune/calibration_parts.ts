import { UsageError } from "@lopper/core";
import type { RunFlags } from "@lopper/run";
import { userPath } from "../inputs/paths.ts";
import { SELF } from "./self_calibration.ts";

/** A file or folder of calibration text, or what the model writes itself, and its weight beside others. */
export interface CalibrationPart {
  readonly path: string;
  readonly weight: number;
}

/**
 * What `--calibration` was given, as a run records it: with full paths, so that a run can be resumed from any folder. A file named `self` is
 * `./self`.
 * @throws {UsageError} for a weight of 0.
 */
export function calibrationFlag(
  given: readonly string[] | undefined,
): RunFlags["calibration"] | undefined {
  if (given === undefined) return undefined;
  const parts = given.map(parsed)
    .map(({ path, weight }) => ({ path: path === SELF ? SELF : userPath(path), weight }));
  return parts.length === 1 ? parts[0].path : parts.map(({ path, weight }) => `${path}=${weight}`);
}

/** The parts of a recorded text. */
export function calibrationParts(flag: string | readonly string[]): readonly CalibrationPart[] {
  return typeof flag === "string" ? [{ path: flag, weight: 1 }] : flag.map(parsed);
}

/** Of `PATH` or `PATH=WEIGHT`: a path that ends like a weight needs one behind it. */
function parsed(text: string): CalibrationPart {
  const [, path, weight] = /^(.+)=(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  if (path === undefined) return { path: text, weight: 1 };
  if (Number(weight) > 0) return { path, weight: Number(weight) };
  throw new UsageError(
    `--calibration ${text} has the weight ${weight}; it needs one above 0, or leave it out`,
  );
}
