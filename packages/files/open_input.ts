import { type InputKind, refusalOf } from "@lopper/core";
import { decodeText } from "@lopper/formats";
import { FileSource } from "./file_source.ts";
import { isMissing } from "./system_reason.ts";

/**
 * Opens a file that somebody named.
 * @throws what the kind refuses with: there is no such file, it is no regular file, or larger than
 *   the kind may be.
 */
export async function openInput(path: string, kind: InputKind): Promise<FileSource> {
  const source = await openIfThere(path, kind);
  if (source === null) throw kind.refuse(path, "there is no such file");
  return source;
}

/** The whole text of a file. @throws as `openInput`, and when it is not UTF-8. */
export async function readInput(path: string, kind: InputKind): Promise<string> {
  return await textOf(await openInput(path, kind), kind);
}

/** As `readInput`; null where there is no such file. */
export async function readInputIfThere(path: string, kind: InputKind): Promise<string | null> {
  const source = await openIfThere(path, kind);
  return source && await textOf(source, kind);
}

async function openIfThere(path: string, kind: InputKind): Promise<FileSource | null> {
  try {
    return await FileSource.open(path, kind);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function textOf(source: FileSource, kind: InputKind): Promise<string> {
  try {
    return decodeText(await source.read(0, source.size), refusalOf(kind, source.name));
  } finally {
    source.close();
  }
}
