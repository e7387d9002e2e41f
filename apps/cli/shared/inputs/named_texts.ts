import { CALIBRATION_TEXTS, HELD_OUT_TEXTS } from "@lopper/calibration-texts";
import { CALIBRATION_TEXT, HELD_OUT_TEXT } from "@lopper/demo-model";
import { BOOKS, MIX } from "@lopper/run";
import { fileURLToPath } from "node:url";

/** A file or folder of text, and what people call it where its name does not say that. */
export interface TextFile {
  readonly path: string;
  readonly name?: string;
}

/** The files that a calibration text is made of, as much of each: itself, or those of a name. */
export function filesOfText(path: string): readonly TextFile[] {
  return namedText(path, CALIBRATION_TEXT, CALIBRATION_TEXTS);
}

/** The files that held-out text is made of: itself, or those of a name. */
export function filesOfHeldOut(path: string): readonly TextFile[] {
  return namedText(path, HELD_OUT_TEXT, HELD_OUT_TEXTS);
}

function namedText(path: string, books: URL, kinds: Readonly<Record<string, URL>>) {
  if (path === BOOKS) return [{ path: fileURLToPath(books), name: BOOKS }];
  if (path !== MIX) return [{ path }];
  return Object.entries({ books, ...kinds })
    .map(([name, url]) => ({ path: fileURLToPath(url), name }));
}
