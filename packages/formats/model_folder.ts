import { CheckpointFormatError } from "@lopper/core";
import type { ByteSource } from "./byte_source.ts";

/** The files of one model, by plain names; nothing outside can be reached through it. */
export interface ModelFolder {
  /** Shown in messages. */
  readonly name: string;
  list(): Promise<readonly string[]>;
  has(file: string): Promise<boolean>;
  /**
   * @throws {CheckpointFormatError} when there is no such file, or the name leads out of the
   * folder.
   */
  open(file: string): Promise<ByteSource>;
  /**
   * A whole file. @throws {CheckpointFormatError} as `open`, and when it is larger than
   * `limitBytes`.
   */
  readBytes(file: string, limitBytes: number): Promise<Uint8Array>;
  /**
   * A folder in this one, by its plain name; one that does not exist has no files. @throws
   * {CheckpointFormatError} as `open`.
   */
  folder(name: string): ModelFolder;
}

/** The names of what lies in a folder, by paths of files in and below it. */
export function entryNames(paths: Iterable<string>): readonly string[] {
  return [...new Set(Array.from(paths, (path) => path.split("/")[0]))].sort();
}

/** Reads a whole file through `open`. */
export async function readWholeFile(
  folder: Pick<ModelFolder, "open">,
  file: string,
  limitBytes: number,
): Promise<Uint8Array> {
  const source = await folder.open(file);
  try {
    if (source.size > limitBytes) {
      throw new CheckpointFormatError(
        `it has ${source.size} bytes and at most ${limitBytes} are expected of such a file`,
        { file: source.name },
      );
    }
    return await source.read(0, source.size);
  } finally {
    source.close();
  }
}

/**
 * What file systems allow; a longer name would be an error of the system's, which names no
 * checkpoint.
 */
const MAX_NAME_BYTES = 255;

/** @throws {CheckpointFormatError} unless `file` is the plain name of a file in the folder. */
export function checkFileName(folder: string, file: string) {
  const plain = /^[^/\\:\0]+$/.test(file) && file !== "." && file !== "..";
  if (plain && new TextEncoder().encode(file).byteLength <= MAX_NAME_BYTES) return;
  throw new CheckpointFormatError(
    `the file name ${
      JSON.stringify(file)
    } cannot leave the model's folder; it needs to be a plain name of at most ${MAX_NAME_BYTES} bytes`,
    { file: folder },
  );
}

export function missingFile(folder: string, file: string): CheckpointFormatError {
  return new CheckpointFormatError(`there is no file ${file} in this folder`, { file: folder });
}
