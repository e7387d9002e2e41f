import { CalibrationError } from "@lopper/core";
import { INPUTS, refusalOf } from "@lopper/core";
import type { ByteSource } from "@lopper/formats";
import { ParquetFile, type RowBatch } from "./parquet_rows.ts";
import type { SampleList } from "./sample_list.ts";

/** The column that holds the samples, as in the data sets of the hub. */
const COLUMN = "text";

/** Rows that are read together, and the number of their first sample. */
interface Batch extends RowBatch {
  readonly first: number;
}

/**
 * The samples of a Parquet file of any size: the strings of its column `text`, one a row; rows
 * without a value are left out. It is read once to count them, and a row group's part again where
 * samples of it are asked for.
 * @param open opens the file, each time anew.
 * @throws {CalibrationError} when the file is not Parquet, has no such column, or more in a row
 *   group than is read at once.
 */
export async function parquetSamples(
  open: () => Promise<ByteSource>,
  file: string,
): Promise<SampleList> {
  const batches: Batch[] = [];
  let length = 0;
  const source = await open();
  try {
    const parquet = await openFile(source, file);
    for (const batch of parquet.batches(COLUMN)) {
      batches.push({ ...batch, first: length });
      length += (await samplesIn(parquet, batch, file)).length;
    }
  } finally {
    source.close();
  }
  if (length === 0) throw new CalibrationError(`${file}: there is no text in it`);
  return { length, read: (numbers) => read(open, file, batches, numbers) };
}

async function* read(
  open: () => Promise<ByteSource>,
  file: string,
  batches: readonly Batch[],
  numbers: readonly number[],
): AsyncGenerator<string> {
  if (numbers.length === 0) return;
  const source = await open();
  try {
    const parquet = await openFile(source, file);
    let [next, known]: [number, { first: number; samples: readonly string[] }] = [
      0,
      { first: 0, samples: [] },
    ];
    for (const n of numbers) {
      if (n >= known.first + known.samples.length) {
        while (next + 1 < batches.length && batches[next + 1].first <= n) next += 1;
        known = {
          first: batches[next].first,
          samples: await samplesIn(parquet, batches[next], file),
        };
      }
      const sample = known.samples.at(n - known.first);
      if (sample === undefined) {
        throw new CalibrationError(`${file}: it was changed while it was read`);
      }
      yield sample;
    }
  } finally {
    source.close();
  }
}

async function openFile(source: ByteSource, file: string): Promise<ParquetFile> {
  const parquet = await ParquetFile.open(source, refusalOf(INPUTS.calibration, file));
  if (parquet.bytes(COLUMN) !== null) return parquet;
  const columns = parquet.metadata.schema.slice(1).map(({ name }) => name).join(", ");
  throw new CalibrationError(
    `${file}: it needs a column ${COLUMN} and has ${columns === "" ? "none" : columns}`,
  );
}

async function samplesIn(
  parquet: ParquetFile,
  batch: RowBatch,
  file: string,
): Promise<readonly string[]> {
  return (await parquet.rows(batch, [COLUMN])).flatMap((row, i) => {
    const value = row[COLUMN];
    if (value === null || value === undefined || value === "") return [];
    if (typeof value === "string") return [value];
    throw new CalibrationError(
      `${file}, row ${batch.start + i + 1}: its column ${COLUMN} holds no strings`,
    );
  });
}
