import type { LopperError } from "@lopper/core";
import { breath, type ByteSource } from "@lopper/formats";
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  type RowGroup,
} from "hyparquet";
import { compressors, decompressZstd } from "hyparquet-compressors";

/**
 * Bytes of a file that are read at once: a column of a row group, as it is compressed. Data sets of
 * the hub have row groups of 1,000 rows or of some 10 MB.
 */
const MAX_READ_BYTES = 2 ** 26;
/**
 * Bytes of a page when it is not compressed; writers make pages of 1 MB, and those of few long
 * texts are larger.
 */
const MAX_PAGE_BYTES = 2 ** 25;
/** Bytes, uncompressed, of the rows that are read together, about. */
const BATCH_BYTES = 2 ** 22;

/** Says what is wrong with a file. */
export type RefuseParquet = (problem: string, options?: ErrorOptions) => LopperError;

/** Rows that follow each other, and the number of the first. */
export interface RowBatch {
  readonly start: number;
  readonly end: number;
}

/** A Parquet file whose rows are read some at a time, in memory for a column of a row group. */
export class ParquetFile {
  readonly metadata: FileMetaData;
  readonly #file: AsyncBuffer;
  readonly #refuse: RefuseParquet;

  private constructor(metadata: FileMetaData, file: AsyncBuffer, refuse: RefuseParquet) {
    this.metadata = metadata;
    this.#file = file;
    this.#refuse = refuse;
  }

  /** @throws what `refuse` makes of bytes that are not Parquet. */
  static async open(source: ByteSource, refuse: RefuseParquet): Promise<ParquetFile> {
    const file = bounded(source);
    const metadata = await reading(refuse, () => parquetMetadataAsync(file));
    return new ParquetFile(metadata, file, refuse);
  }

  /**
   * Uncompressed bytes of a column, or of all, as the file's footer says; null where there is no
   * such column.
   */
  bytes(column?: string): number | null {
    const groups = this.metadata.row_groups.map((group) => groupBytes(group, column));
    if (groups.some((bytes) => bytes === null)) return null;
    return groups.reduce<number>((sum, bytes) => sum + bytes!, 0);
  }

  get rowCount(): number {
    return this.metadata.row_groups.reduce((sum, { num_rows }) => sum + Number(num_rows), 0);
  }

  /** All rows, in stretches that are read together. */
  *batches(column?: string): Generator<RowBatch> {
    let first = 0;
    for (const group of this.metadata.row_groups) {
      const rows = Number(group.num_rows);
      const share = BATCH_BYTES / Math.max(1, groupBytes(group, column) ?? 0);
      const step = Math.max(1, Math.floor(Math.min(1, share) * rows));
      for (let start = 0; start < rows; start += step) {
        yield { start: first + start, end: first + Math.min(rows, start + step) };
      }
      first += rows;
    }
  }

  /** @throws what `refuse` makes of rows that cannot be read. */
  async rows({ start, end }: RowBatch, columns?: string[]): Promise<readonly Row[]> {
    // Some hundred milliseconds of work.
    await breath();
    return await reading(
      this.#refuse,
      () =>
        parquetReadObjects({
          file: this.#file,
          metadata: this.metadata,
          ...columns && { columns },
          compressors: COMPRESSORS,
          rowStart: start,
          rowEnd: end,
        }),
    );
  }
}

type Row = Readonly<Record<string, unknown>>;

function groupBytes({ columns }: RowGroup, column?: string): number | null {
  const asked = columns.filter(({ meta_data }) =>
    column === undefined || meta_data?.path_in_schema.join(".") === column
  );
  if (column !== undefined && asked.length === 0) return null;
  return asked.reduce((sum, { meta_data }) => sum + Number(meta_data!.total_uncompressed_size), 0);
}

/**
 * Reads of a file that are not larger than they may be; the last is remembered for the next rows of
 * its group.
 */
function bounded(source: ByteSource): AsyncBuffer {
  let last: { start: number; end: number; bytes: Promise<ArrayBuffer> } | null = null;
  return {
    byteLength: source.size,
    slice: (start, end = source.size) => {
      if (end - start > MAX_READ_BYTES) {
        throw new RangeError(
          `${
            end - start
          } bytes of it belong together and ${MAX_READ_BYTES} at most are read at once; smaller row groups help`,
        );
      }
      if (last?.start === start && last.end === end) return last.bytes;
      // What comes may be a view of more.
      const bytes = source.read(start, end - start).then((found) =>
        found.slice().buffer as ArrayBuffer
      );
      last = { start, end, bytes };
      return bytes;
    },
  };
}

/** A page says itself how large it becomes, which may be anything. */
const COMPRESSORS = Object.fromEntries(
  Object.entries({
    ...compressors,
    ZSTD: (input: Uint8Array, length: number) => decompressZstd(input, new Uint8Array(length)),
  }).map(([codec, decompress]) => [codec, (input: Uint8Array, length: number) => {
    if (length > MAX_PAGE_BYTES) {
      throw new RangeError(`a page has ${length} bytes and ${MAX_PAGE_BYTES} at most are read`);
    }
    return decompress(input, length);
  }]),
);

async function reading<T>(refuse: RefuseParquet, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw refuse(`it cannot be read as Parquet (${reason})`, { cause: error });
  }
}
