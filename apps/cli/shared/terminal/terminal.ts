import { printable, printableJson, printableLine } from "@lopper/core";
import process from "node:process";

/**
 * Everything that the program writes to its standard output and standard error goes through here,
 * since it is here that what a terminal would obey is taken out of it: names and texts of files,
 * the words of a model, the user's own.
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
  const { stdout } = process;
  await new Promise<void>((resolve, reject) => {
    // A stream that fails says so twice, and ends the process where nobody hears it.
    stdout.once("error", reject);
    stdout.write(printable(text), (error) => {
      if (error) return reject(error);
      stdout.off("error", reject);
      resolve();
    });
  });
}

/** A sentence beside the results. */
export function tell(sentence: string) {
  console.error(printableLine(sentence));
}

/** Lines beside the results. */
export function tellLines(text = "") {
  console.error(printable(text));
}
