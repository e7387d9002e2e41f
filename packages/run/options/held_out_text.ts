import { type Form, path } from "@lopper/options";
import { BOOKS, MIX } from "./calibration_part.ts";

const FILE = path("path");

/** A file or folder, MIX or BOOKS. */
export const heldOutText: Form<string> = {
  ...FILE,
  parse: (word, context) => isNamed(word) ? word : FILE.parse(word, context),
};

/** Whether a run measures on its held-out text after each step: where somebody brings one. */
export function measuresSteps({ heldOut }: { readonly heldOut: string | null }): boolean {
  return heldOut !== null && !isNamed(heldOut);
}

function isNamed(text: string): boolean {
  return text === MIX || text === BOOKS;
}
