import { CalibrationError } from "@lopper/core";
import { parseSamples } from "@lopper/importance";
import { FileSource } from "@lopper/model-io/files";
import { join } from "node:path";

const PARQUET = /\.parquet$/i;
const TEXT = /\.(txt|jsonl|parquet)$/i;

/**
 * The samples of a text file, or of all text files of a folder and of the folders in it, in the order of their paths. What
 * is hidden, a link, or of another kind is passed over there.
 * @throws {CalibrationError} when there is nothing, or no text in it.
 */
export async function readSamples(path: string): Promise<readonly string[]> {
  const { isDirectory } = await found(path, () => Deno.stat(path));
  if (!isDirectory) return await samplesOf(path);
  const files = await textFiles(path);
  if (files.length === 0) {
    throw new CalibrationError(`${path}: there is no .txt, .jsonl or .parquet file in this folder`);
  }
  const samples = [];
  for (const file of files) samples.push(await samplesOf(file));
  return samples.flat();
}

/**
 * The text of a file, or of all text files of a folder: `.txt` as it is; samples of other files, and files, are joined with
 * a blank line.
 * @throws {CalibrationError} as `readSamples`.
 */
export async function readWholeText(path: string): Promise<string> {
  const { isDirectory } = await found(path, () => Deno.stat(path));
  if (!isDirectory) {
    if (/\.txt$/i.test(path)) return await readText(path);
    if (TEXT.test(path)) return (await samplesOf(path)).join("\n\n");
    throw new CalibrationError(
      `${path}: it needs to be a .txt, .jsonl or .parquet file, or a folder of them`,
    );
  }
  const texts = [];
  for (const file of await textFiles(path)) texts.push(await readWholeText(file));
  if (texts.length > 0) return texts.join("\n\n");
  throw new CalibrationError(`${path}: there is no .txt, .jsonl or .parquet file in this folder`);
}

async function samplesOf(file: string): Promise<readonly string[]> {
  if (!PARQUET.test(file)) return parseSamples(await readText(file), file);
  // Few runs need it.
  const { parquetSamples } = await import("@lopper/importance/parquet");
  const source = await found(file, () => FileSource.open(file));
  try {
    return await parquetSamples(source, file);
  } finally {
    source.close();
  }
}

/** Sorted by code units, so that the order does not depend on the machine. */
async function textFiles(folder: string): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(folder)) {
    if (name.startsWith(".")) continue;
    const path = join(folder, name);
    if (isDirectory) files.push(...await textFiles(path));
    else if (isFile && TEXT.test(name)) files.push(path);
  }
  return files.sort();
}

async function readText(file: string): Promise<string> {
  const bytes = await found(file, () => Deno.readFile(file));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new CalibrationError(`${file}: not UTF-8 text`, { cause: error });
  }
}

async function found<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new CalibrationError(`${path}: there is no such file`, { cause: error });
    }
    throw error;
  }
}
