import { printable, printableJson, printableLine } from "@lopper/core";

/**
 * Everything that the program writes to its standard output and standard error goes through here, since it is here that what
 * a terminal would obey is taken out of it: names and texts of files, the words of a model, the user's own.
 */

/** A result of one or several lines. */
export function print(text: string) {
  console.log(printable(text));
}

/** A value for machines, on a line of its own or indented. */
export function printJson(value: unknown, indent?: number) {
  console.log(printableJson(value, indent));
}

/** A piece of a text that goes on. */
export async function printPiece(text: string) {
  const bytes = new TextEncoder().encode(printable(text));
  for (let n = 0; n < bytes.length;) n += await Deno.stdout.write(bytes.subarray(n));
}

/** A sentence beside the results. */
export function tell(sentence: string) {
  console.error(printableLine(sentence));
}

/** Lines beside the results. */
export function tellLines(text = "") {
  console.error(printable(text));
}
