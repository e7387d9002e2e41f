import { ReadError } from "@lopper/core";

/** What systems say, by their codes, in words. Others come in the system's own. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission is denied",
  EPERM: "permission is denied",
  ENOENT: "there is no such file or folder",
  ENOTDIR: "a part of this path is a file",
  EISDIR: "it is a folder",
  EEXIST: "it is there already",
  ENOTEMPTY: "the folder is not empty",
  ENAMETOOLONG: "the name is longer than the system takes",
  ELOOP: "its links lead in a circle",
  EMFILE: "more files are open than the system allows",
  ENFILE: "more files are open than the system allows",
  ENOSPC: "there is no space left on its disk",
  EDQUOT: "the user's share of the disk is used up",
  EROFS: "its file system is read-only",
  EIO: "the disk reports an error",
};

/** How Deno calls what its permissions do not allow. */
const NOT_CAPABLE = "NotCapable";

/** The system's code for an error, "" for errors of other origin. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Whether a file is not there, or a part of the path to it. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR";
}

/**
 * What the system has against something, in words, and the paths that it names; null for other
 * errors.
 */
export function systemReason(
  error: unknown,
): { readonly reason: string; readonly paths: string | null } | null {
  if (!(error instanceof Error)) return null;
  if (error.name === NOT_CAPABLE) {
    return { reason: error.message.replace(/, run again .*/s, ""), paths: null };
  }
  const code = codeOf(error);
  if (!/^E[A-Z0-9]+$/.test(code) && !/\(os error \d+\)/.test(error.message)) return null;
  // Deno's messages are "WHAT (os error NUMBER): VERB 'PATH'", those of Node's modules "CODE: WHAT,
  // VERB 'PATH'".
  const [, what, paths] = /^(.*?) \(os error \d+\)(?:: \w+ (.*))?$/s.exec(error.message) ??
    /^E[A-Z]+: (.*?)(?:, \w+ (.*))?$/s.exec(error.message) ?? [];
  return {
    reason: REASONS[code] ?? what ?? error.message,
    paths: paths?.replace(/(^|-> )'|'(?= ->|$)/g, "$1") ?? null,
  };
}

/**
 * Runs what reads a file.
 * @throws {ReadError} naming the file, for what the system has against it; that it is not there
 *   stays as it is.
 */
export async function reading<T>(file: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const found = isMissing(error) ? null : systemReason(error);
    throw found ? new ReadError(file, found.reason, { cause: error }) : error;
  }
}
