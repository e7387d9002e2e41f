import { type RunFlags, type RunNames, SELF } from "@lopper/run";
import { basename } from "node:path";

/**
 * What people call the model and the texts of a run.
 * @param title of the model.
 */
export function namesOfRun(
  title: string,
  { calibration, heldOut }: Pick<RunFlags, "calibration" | "heldOut">,
): RunNames {
  return {
    model: title.replace(/\.(gguf|onnx)$/i, ""),
    calibration: calibration === null
      ? "public-domain books that Lopper brings along"
      : calibration.map(({ path }) => nameOfText(path)).join(" and "),
    heldOut: heldOut === null ? "the first chapters of Moby Dick" : basename(heldOut),
  };
}

/** What people call a calibration text. */
export function nameOfText(path: string): string {
  return path === SELF ? "text of its own" : basename(path);
}
