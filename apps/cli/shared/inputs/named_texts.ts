import { CALIBRATION_TEXTS } from "@lopper/calibration-texts";
import { CALIBRATION_TEXT } from "@lopper/demo-model";
import { BOOKS, MIX } from "@lopper/run";
import { fileURLToPath } from "node:url";

/** A file or folder of text, and what people call it where its name does not say that. */
export interface TextFile {
  readonly path: string;
  readonly name?: string;
}

/** The files that a calibration text is made of, as much of each: itself, or those of a name. */
export function filesOfText(path: string): readonly TextFile[] {
  if (path === BOOKS) return [{ path: fileURLToPath(CALIBRATION_TEXT), name: BOOKS }];
  if (path !== MIX) return [{ path }];
  const kinds = Object.entries({ books: CALIBRATION_TEXT, ...CALIBRATION_TEXTS });
  return kinds.map(([name, url]) => ({ path: fileURLToPath(url), name }));
}
