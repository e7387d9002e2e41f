import { EvaluationError } from "@lopper/core";
import { type ByteSource, decodeText, INPUTS, refusalOf } from "@lopper/model-io";
import { parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";

/** The largest evaluation set here has 12 MB; what is far larger is another data set. */
export const MAX_DATA_BYTES = 2 ** 28;

/**
 * The rows of a data file: of Parquet, or of JSON with a row a line, which may be compressed by gzip; a text without a
 * form of its own is a row `{text}` for every line, as the hub has WikiText.
 * @throws {EvaluationError} when the bytes are not what the file's name says.
 */
export async function readRows(source: ByteSource): Promise<readonly unknown[]> {
  const { name } = source;
  if (/\.parquet$/i.test(name)) return await parquetRows(source);
  const text = await readText(source);
  return /\.jsonl(\.gz)?$/i.test(name) ? jsonRows(text, name) : lineRows(text);
}

async function parquetRows(source: ByteSource): Promise<readonly unknown[]> {
  const file = {
    byteLength: source.size,
    slice: async (start: number, end = source.size) => {
      const bytes = await source.read(start, end - start);
      return bytes.slice().buffer;
    },
  };
  try {
    const metadata = await parquetMetadataAsync(file);
    const sizes = metadata.row_groups.map(({ total_byte_size }) => Number(total_byte_size));
    checkSize(sizes.reduce((sum, n) => sum + n, 0), source.name);
    return await parquetReadObjects({ file, metadata, compressors });
  } catch (error) {
    if (error instanceof EvaluationError) throw error;
    throw new EvaluationError(
      `${source.name}: it cannot be read as Parquet (${messageOf(error)})`,
      { cause: error },
    );
  }
}

/** A whole text file in UTF-8. @throws {EvaluationError} as `readRows`. */
export async function readText(source: ByteSource): Promise<string> {
  checkSize(source.size, source.name);
  const bytes = await source.read(0, source.size);
  const plain = /\.gz$/i.test(source.name) ? await gunzip(bytes, source.name) : bytes;
  return decodeText(plain, refusalOf(INPUTS.dataSet, source.name));
}

async function gunzip(bytes: Uint8Array, name: string): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream()
    .pipeThrough(new DecompressionStream("gzip"));
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  try {
    for await (const part of stream) {
      checkSize(size += part.byteLength, name);
      parts.push(part as Uint8Array<ArrayBuffer>);
    }
  } catch (error) {
    if (error instanceof EvaluationError) throw error;
    throw new EvaluationError(`${name}: it cannot be read as gzip (${messageOf(error)})`, {
      cause: error,
    });
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function jsonRows(text: string, name: string): readonly unknown[] {
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    try {
      return [JSON.parse(line)];
    } catch (error) {
      throw new EvaluationError(`${name}, line ${i + 1}: not JSON`, { cause: error });
    }
  });
}

/** A line keeps its end; a blank one is an empty row. */
function lineRows(text: string): readonly unknown[] {
  const lines = text.split(/(?<=\n)/);
  return lines.map((line) => ({ text: line.trim() === "" ? "" : line }));
}

function checkSize(bytes: number, name: string) {
  if (bytes <= MAX_DATA_BYTES) return;
  throw new EvaluationError(
    `${name}: it has ${bytes} bytes or more and an evaluation set ${MAX_DATA_BYTES} at most`,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
