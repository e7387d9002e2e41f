import { WriteError } from "@lopper/core";
import { systemReason } from "./system_reason.ts";

/** What systems say when a file cannot be written, in words. */
const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: "there is no space left on its disk",
  EDQUOT: "the user's share of the disk is used up",
  EFBIG: "its file system takes no file that large",
  EACCES: "permission is denied",
  EPERM: "permission is denied",
  EROFS: "its file system is read-only",
  ENOENT: "its folder is not there",
  ENOTDIR: "its folder is a file",
  EISDIR: "a folder of that name is in the way",
  EIO: "the disk reports an error",
};

/**
 * Runs what writes a file; what the system has against it becomes a sentence that names the file.
 */
export async function writing<T>(file: string, write: () => T | Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw writeError(file, error);
  }
}

/** The sentence for an error of the system; other errors come back as they are. */
export function writeError(file: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof WriteError || !("code" in error)) return error;
  const code = String(error.code);
  const reason = REASONS[code] ?? systemReason(error)?.reason ?? error.message;
  return new WriteError(file, reason, { cause: error });
}
