import { type Form, path } from "@lopper/options";
import { BOOKS, MIX } from "./calibration_part.ts";

const FILE = path("path");

/** What stands for a held-out text that comes with Lopper, and what people call that. */
const NAMES: ReadonlyMap<string, string> = new Map([
  [BOOKS, "the first chapters of Moby Dick"],
  [MIX, "text of several kinds that Lopper measures on alone"],
]);

/** A file or folder, MIX or BOOKS. */
export const heldOutText: Form<string> = {
  ...FILE,
  parse: (word, context) => NAMES.has(word) ? word : FILE.parse(word, context),
};

/** What people call a run's held-out text; null where somebody brings it. */
export function heldOutName({ heldOut }: { readonly heldOut: string | null }): string | null {
  return NAMES.get(heldOut ?? BOOKS) ?? null;
}

/** Whether a run measures on its held-out text after each step: where somebody brings one. */
export function measuresSteps(flags: { readonly heldOut: string | null }): boolean {
  return heldOutName(flags) === null;
}
