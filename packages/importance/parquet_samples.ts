import { CalibrationError } from "@lopper/core";
import type { ByteSource } from "@lopper/model-io";
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";

/** The column that holds the samples, as in the data sets of the hub. */
const COLUMN = "text";
/** A calibration text has some MB; a whole crawl would fill the memory before a sample is drawn. */
const MAX_TEXT_BYTES = 2 ** 30;

/**
 * The samples of a Parquet file: the strings of its column `text`, one a row; rows without a value are left out.
 * @throws {CalibrationError} when the file is not Parquet, has no such column, or more text than fits.
 */
export async function parquetSamples(source: ByteSource, file: string): Promise<readonly string[]> {
  const buffer: AsyncBuffer = {
    byteLength: source.size,
    slice: async (start, end = source.size) => {
      const bytes = await source.read(start, end - start);
      return bytes.slice().buffer;
    },
  };
  const metadata = await reading(file, () => parquetMetadataAsync(buffer));
  const bytes = textBytes(metadata, file);
  if (bytes > MAX_TEXT_BYTES) {
    throw new CalibrationError(
      `${file}: its column ${COLUMN} has ${bytes} bytes of text and Lopper takes ${MAX_TEXT_BYTES} at most; ` +
        "a part of it is enough to calibrate on",
    );
  }
  const rows = await reading(
    file,
    () => parquetReadObjects({ file: buffer, metadata, columns: [COLUMN], compressors }),
  );
  const samples = rows.flatMap((row, i) => {
    const value: unknown = row[COLUMN];
    if (value === null || value === undefined || value === "") return [];
    if (typeof value !== "string") {
      throw new CalibrationError(`${file}, row ${i + 1}: its column ${COLUMN} holds no strings`);
    }
    return [value];
  });
  if (samples.length === 0) throw new CalibrationError(`${file}: there is no text in it`);
  return samples;
}

/** Uncompressed bytes of the column, as the file's footer says. */
function textBytes({ row_groups, schema }: FileMetaData, file: string): number {
  const chunks = row_groups.flatMap(({ columns }) =>
    columns.filter(({ meta_data }) => meta_data?.path_in_schema.join(".") === COLUMN)
  );
  if (chunks.length === 0 && row_groups.length > 0) {
    const columns = schema.slice(1).map(({ name }) => name).join(", ");
    throw new CalibrationError(
      `${file}: it needs a column ${COLUMN} and has ${columns === "" ? "none" : columns}`,
    );
  }
  return chunks.reduce((sum, c) => sum + Number(c.meta_data!.total_uncompressed_size), 0);
}

async function reading<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CalibrationError(`${file}: it cannot be read as Parquet (${reason})`, {
      cause: error,
    });
  }
}
