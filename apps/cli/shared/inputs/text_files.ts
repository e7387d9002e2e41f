import { CalibrationError } from "@lopper/core";
import { INPUTS } from "@lopper/core";
import {
  cachedSnapshots,
  isCachedDataSet,
  isMissing,
  listFilesDeep,
  openInput,
  readInput,
} from "@lopper/files";
import { concatenated, everySample, type SampleList, textSamples } from "@lopper/importance";
import { listed } from "@lopper/models";
import { realpath, stat } from "node:fs/promises";
import { join } from "node:path";

const PARQUET = /\.parquet$/i;
const TEXT = /\.(txt|jsonl|parquet)$/i;

/** Hears in a line what of a folder is passed over. */
export type OnNote = (line: string) => void;

/**
 * The samples of a text file, or of all text files of a folder and of the folders in it, in the
 * order of their paths. What is of another kind is passed over there and named to `onNote`; what is
 * hidden goes without saying.
 * @throws {CalibrationError} when there is nothing, or no text in it.
 */
export async function readSamples(path: string, onNote: OnNote): Promise<SampleList> {
  const lists = [];
  for (const file of await textFiles(path, onNote)) lists.push(await samplesOf(file));
  return concatenated(lists);
}

/**
 * The text of a file, or of all text files of a folder: `.txt` as it is; samples of other files,
 * and files, are joined with a blank line. Other files are named to `onNote`.
 * @throws {CalibrationError} as `readSamples`, and when it is more than `INPUTS.text` may be.
 */
export async function readWholeText(path: string, onNote: OnNote): Promise<string> {
  const texts: string[] = [];
  let bytes = 0;
  const { maxBytes, what, refuse } = INPUTS.text;
  for (const file of await textFiles(path, onNote)) {
    const parts = /\.txt$/i.test(file)
      ? [await readInput(file, INPUTS.text)]
      : everySample(await samplesOf(file));
    for await (const text of parts) {
      bytes += new TextEncoder().encode(text).byteLength + SEPARATOR.length;
      if (bytes > maxBytes + SEPARATOR.length) {
        throw refuse(path, `it has more than ${maxBytes} bytes of text, the most that ${what} has`);
      }
      texts.push(text);
    }
  }
  return texts.join(SEPARATOR);
}

const SEPARATOR = "\n\n";

async function samplesOf(file: string): Promise<SampleList> {
  const open = () => openInput(file, INPUTS.calibration);
  if (!PARQUET.test(file)) return await textSamples(open, file);
  // Few runs need it.
  const { parquetSamples } = await import("@lopper/importance/parquet");
  return await parquetSamples(open, file);
}

/** Deeper folders than anybody makes; a limit all the same. */
const MAX_DEPTH = 64;

/**
 * The file of a path, or the text files of a folder, of a data set in the hub's cache those of its
 * newest revision. They are sorted by code units, so that the order does not depend on the machine,
 * and a file that links name, too, is one of them once.
 */
async function textFiles(path: string, onNote: OnNote): Promise<readonly string[]> {
  if (!await isFolder(path)) {
    if (TEXT.test(path)) return [path];
    // What it is by nature says more than its name.
    (await openInput(path, INPUTS.calibration)).close();
    throw new CalibrationError(
      `${path}: it needs to be a .txt, .jsonl or .parquet file, or a folder of them`,
    );
  }
  const folder = isCachedDataSet(path) ? (await cachedSnapshots(path))[0] ?? path : path;
  const all = await listFilesDeep(folder, MAX_DEPTH);
  const names = all.filter((name) => TEXT.test(name));
  if (names.length === 0) {
    throw new CalibrationError(`${path}: there is no .txt, .jsonl or .parquet file in this folder`);
  }
  const others = all.filter((name) => !TEXT.test(name));
  if (others.length > 0) {
    onNote(`${path}: ${listed(others)}: passed over, since texts are .txt, .jsonl or .parquet`);
  }
  return await withoutTwins(folder, names);
}

async function withoutTwins(folder: string, names: readonly string[]): Promise<readonly string[]> {
  const real = (path: string) => realpath(path).catch(() => path);
  const root = await real(folder);
  const files = await Promise.all(
    names.map(async (name) => ({ name, target: await real(join(folder, name)) })),
  );
  const own = new Set(
    files.filter(({ name, target }) => target === join(root, name)).map(({ target }) => target),
  );
  const linked = new Set<string>();
  return files.filter(({ name, target }) => {
    if (target === join(root, name)) return true;
    if (own.has(target) || linked.has(target)) return false;
    linked.add(target);
    return true;
  }).map(({ name }) => join(folder, name)).sort();
}

/** @throws {CalibrationError} when there is nothing. */
async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isMissing(error)) {
      throw new CalibrationError(`${path}: there is no such file`, { cause: error });
    }
    throw error;
  }
}
