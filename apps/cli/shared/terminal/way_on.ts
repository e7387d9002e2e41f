import { WriteError } from "@lopper/core";

/** Where what is done already is found again by itself, or there is nothing of it. */
export const SAME_COMMAND = "the same command";

/** An error; where a file could not be written, with the command that goes on. */
export function withWayOn(error: unknown, command: string): unknown {
  if (!(error instanceof WriteError)) return error;
  const reason = `${error.reason}; nothing is lost, when that is mended continue with: ${command}`;
  return new WriteError(error.file, reason, { cause: error.cause });
}
