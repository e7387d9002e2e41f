import { codeOf, systemReason } from "@lopper/files";

/**
 * The sentence for an error of the system, with the path where it names one; null for other errors.
 */
export function systemSentence(error: unknown): string | null {
  if (codeOf(error) === "EPIPE") return "nobody reads the output any more";
  if (error instanceof RangeError && error.message === "Array buffer allocation failed") {
    return "there is not enough memory; --memory says what a run may take";
  }
  const found = systemReason(error);
  return found && (found.paths === null ? found.reason : `${found.paths}: ${found.reason}`);
}
