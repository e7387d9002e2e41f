import { EvaluationError } from "@lopper/core";
import { INPUTS, refusalOf } from "@lopper/core";
import { bytesOf, type ByteSource, endOfLines, textParts } from "@lopper/formats";

/** Bytes of a data file, when it isn't compressed. */
export const MAX_DATA_BYTES = INPUTS.dataSet.maxBytes;
/** Bytes of the rows that an evaluation asks together: all tasks that Lopper knows have 20 MB. */
export const MAX_ROWS_BYTES = 48 * 2 ** 20;
/** What a row takes in memory beside its text, about. */
const ROW_BYTES = 256;
/** A row with a long book in it has 3 MB. */
const MAX_LINE_BYTES = 2 ** 24;

export interface RowOptions {
  /** How many of the first rows are asked for; the others are counted. */
  readonly limit?: number;
  /** Bytes that those may have, each with some more for what it takes beside its text. */
  readonly maxBytes?: number;
}

export interface DataRows {
  /** The first rows. */
  readonly rows: readonly unknown[];
  /** Rows that there are. */
  readonly available: number;
  /** As `maxBytes` counts them. */
  readonly bytes: number;
}

/**
 * The rows of a data file: of Parquet, or of JSON with a row a line, which may be compressed by
 * gzip; a text without a form of its own is a row `{text}` for every line, as the hub has WikiText.
 * No more of the file is in memory than the rows that are asked for.
 * @throws {EvaluationError} when the bytes are not what the file's name says, or there are more of
 *   them than may be.
 */
export async function readRows(
  source: ByteSource,
  { limit = Infinity, maxBytes = MAX_ROWS_BYTES }: RowOptions = {},
): Promise<DataRows> {
  const { name } = source;
  const rows: unknown[] = [];
  let [available, bytes] = [0, 0];
  const found = /\.parquet$/i.test(name) ? parquetRows(source, limit) : textRows(source);
  for await (const stretch of found) {
    available += stretch.count;
    for (const { row, size } of stretch.rows) {
      if (rows.length === limit) break;
      bytes += size + ROW_BYTES;
      if (bytes > maxBytes) throw tooMany(name);
      rows.push(row);
    }
  }
  return { rows, available, bytes };
}

function tooMany(name: string): EvaluationError {
  return new EvaluationError(
    `${name}: with its rows there are more than ${MAX_ROWS_BYTES} bytes, the most that an evaluation asks (--limit asks fewer)`,
  );
}

/** Rows that were read together. */
interface Stretch {
  /** Rows, not all of which need to be there. */
  readonly count: number;
  /** The rows, and about how many bytes each has. */
  readonly rows: Iterable<{ readonly row: unknown; readonly size: number }>;
}

async function* parquetRows(source: ByteSource, limit: number): AsyncGenerator<Stretch> {
  // Few runs need it.
  const { ParquetFile } = await import("@lopper/importance/parquet");
  const refuse = refusalOf(INPUTS.dataSet, source.name);
  const parquet = await ParquetFile.open(source, refuse);
  const total = parquet.bytes()!;
  if (total > MAX_DATA_BYTES) throw tooLarge(source.name, total);
  let read = 0;
  for (const batch of parquet.batches()) {
    const count = batch.end - batch.start;
    if (read >= limit) yield { count, rows: [] };
    else {
      const rows = await parquet.rows(batch);
      yield { count, rows: rows.map((row) => ({ row, size: total / parquet.rowCount })) };
    }
    read += count;
  }
}

async function* textRows(source: ByteSource): AsyncGenerator<Stretch> {
  const { name } = source;
  const plain = /\.gz$/i.test(name) ? gunzip(bytesOf(source), name) : bytesOf(source);
  const parts = textParts(checkedSize(plain, name), {
    end: endOfLines,
    maxBytes: MAX_LINE_BYTES,
    refuse: refusalOf(INPUTS.dataSet, name),
    tooLong: (offset) =>
      `behind its byte ${offset} there is no line end for ${MAX_LINE_BYTES} bytes, and a row is a line`,
  });
  const rowsOf = /\.jsonl(\.gz)?$/i.test(name) ? jsonRows : lineRows;
  let before = 0;
  for await (const { text } of parts) {
    const { lines, rows } = rowsOf(text, name, before);
    before += lines;
    yield { count: rows.length, rows };
  }
}

async function* checkedSize(chunks: AsyncIterable<Uint8Array>, name: string) {
  let size = 0;
  for await (const chunk of chunks) {
    if ((size += chunk.byteLength) > MAX_DATA_BYTES) throw tooLarge(name, size);
    yield chunk;
  }
}

function tooLarge(name: string, bytes: number): EvaluationError {
  return new EvaluationError(
    `${name}: it has ${bytes} bytes or more and an evaluation set ${MAX_DATA_BYTES} at most`,
  );
}

async function* gunzip(chunks: AsyncIterable<Uint8Array>, name: string) {
  const stream = ReadableStream.from(inSpoonfuls(chunks))
    .pipeThrough(new DecompressionStream("gzip"));
  const reader = stream.getReader();
  try {
    for (;;) {
      const { value, done } = await unzipping(name, () => reader.read());
      if (done) return;
      yield value;
    }
  } finally {
    // Whoever stops early leaves the rest unread.
    await reader.cancel().catch(() => {});
  }
}

/** Bytes that are unzipped at once: they may become a thousand times as many. */
const SPOONFUL_BYTES = 2 ** 12;

async function* inSpoonfuls(chunks: AsyncIterable<Uint8Array>) {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength; at += SPOONFUL_BYTES) {
      yield chunk.subarray(at, at + SPOONFUL_BYTES) as Uint8Array<ArrayBuffer>;
    }
  }
}

async function unzipping<T>(name: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new EvaluationError(
      `${name}: it cannot be read as gzip (${
        error instanceof Error ? error.message : String(error)
      })`,
      { cause: error },
    );
  }
}

/** @param before lines in front of the text. */
function jsonRows(text: string, name: string, before: number) {
  const lines = text.split("\n");
  const rows = lines.flatMap((line, i) => {
    if (line.trim() === "") return [];
    try {
      return [{ row: JSON.parse(line) as unknown, size: line.length }];
    } catch (error) {
      throw new EvaluationError(`${name}, line ${before + i + 1}: not JSON`, { cause: error });
    }
  });
  return { lines: lines.length - 1, rows };
}

/** A line keeps its end; a blank one is an empty row. */
function lineRows(text: string) {
  const lines = text.split(/(?<=\n)/);
  const rows = lines.map((line) => ({
    row: { text: line.trim() === "" ? "" : line },
    size: line.length,
  }));
  return { lines: lines.length, rows };
}
