import {
  BOOKS,
  calibrationOf,
  heldOutName,
  MIX,
  type RunFlags,
  type RunNames,
  SELF,
} from "@lopper/run";
import { basename } from "node:path";

/** What stands for a text, and what people call that. */
const NAMES: Readonly<Record<string, string>> = {
  [SELF]: "text of its own",
  [BOOKS]: "public-domain books that Lopper brings along",
  [MIX]: "texts of several kinds that Lopper brings along",
};

/**
 * What people call the model and the texts of a run.
 * @param title of the model.
 */
export function namesOfRun(
  title: string,
  flags: Pick<RunFlags, "calibration" | "heldOut">,
): RunNames {
  return {
    model: title.replace(/\.(gguf|onnx)$/i, ""),
    calibration: calibrationOf(flags).map(({ path }) => nameOfText(path)).join(" and "),
    heldOut: heldOutName(flags) ?? basename(flags.heldOut!),
  };
}

/** What people call a calibration text. */
export function nameOfText(path: string): string {
  return NAMES[path] ?? basename(path);
}
