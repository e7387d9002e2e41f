import { type FloatDType, UnsupportedModelError } from "@lopper/core";
import { toFloat32 } from "@lopper/formats";
import { llama3Divisor, llama3Parameters } from "../llama3_rope.ts";

/** A matrix in a file, read row by row. */
export interface StoredTable {
  readonly name: string;
  readonly dtype: FloatDType;
  readonly rows: number;
  readRow(row: number): Promise<Uint8Array>;
}

/** How exact angles are that come from a table, by its dtype. */
export const ANGLE_TOLERANCE = { F32: 2e-5, F16: 3e-3, BF16: 2e-2 } as const;
/**
 * Angles are taken from the last row, 1, 2, 4, 8, …, at which they are below this: there they are
 * the most exact.
 */
const MAX_ANGLE = 1.5;

/**
 * Finds out how rotary angles were computed from their tables of cosines and sines, for a model
 * that has no config.json: base frequency, and linear or Llama 3's scaling.
 * @throws {UnsupportedModelError} when the tables are those of another scaling.
 */
export async function ropeFromTables(
  cosines: StoredTable,
  sines: StoredTable,
  file: string,
): Promise<Record<string, unknown>> {
  const { frequencies, scaled } = await frequenciesOf(cosines, sines);
  const tolerance = ANGLE_TOLERANCE[cosines.dtype];
  const found = scaled <= tolerance ? explain(frequencies, tolerance) : undefined;
  if (found) return found;
  throw new UnsupportedModelError(
    `${file}: the tables of rotary angles (${cosines.name}, ${sines.name}) are those of a scaling that Lopper does not know; ` +
      "put the model's config.json beside genai_config.json",
  );
}

/** Angle per position of each pair of channels, and how far √(cos² + sin²) is from 1. */
export async function frequenciesOf(cosines: StoredTable, sines: StoredTable) {
  const frequencies: number[] = [];
  let scaled = 0;
  for (let position = 1; position < cosines.rows; position *= 2) {
    const [cos, sin] = await Promise.all(
      [cosines, sines].map(async (table) => toFloat32(table.dtype, await table.readRow(position))),
    );
    cos.forEach((c, i) => {
      if (position === 1) scaled = Math.max(scaled, Math.abs(Math.hypot(c, sin[i]) - 1));
      const known = frequencies[i] ?? 0;
      if (known * position <= MAX_ANGLE) frequencies[i] = Math.atan2(sin[i], c) / position;
    });
  }
  return { frequencies, scaled };
}

function explain(
  frequencies: readonly number[],
  tolerance: number,
): Record<string, unknown> | undefined {
  const pairs = frequencies.length;
  const last = pairs - 1;
  /** The base by which frequency `i` is that much lower than the first. */
  const base = (i: number) => {
    const theta = (frequencies[0] / frequencies[i]) ** (pairs / i);
    return shortNumber(theta, tolerance * pairs / i);
  };
  const fits = (expected: (i: number) => number) =>
    frequencies.every((frequency, i) => Math.abs(frequency / expected(i) - 1) <= tolerance);

  if (last === 0) return undefined;
  const factor = shortNumber(1 / frequencies[0], tolerance);
  const theta = base(last);
  if (fits((i) => theta ** (-i / pairs) / factor)) {
    return factor === 1
      ? { rope_type: "default", rope_theta: theta }
      : { rope_type: "linear", rope_theta: theta, factor };
  }
  // The first quarter of the frequencies is not scaled, and the last is divided by the factor.
  const unscaled = base(Math.max(1, Math.floor(pairs / 4)));
  const divisor = shortNumber(unscaled ** (-last / pairs) / frequencies[last], tolerance);
  const scaled = (i: number) =>
    unscaled ** (-i / pairs) / llama3Divisor(unscaled, 2 * pairs, i, divisor);
  return fits(scaled) ? llama3Parameters(unscaled, divisor) : undefined;
}

/** The number of the fewest digits that is so close to another. */
function shortNumber(value: number, tolerance: number): number {
  for (let digits = 1; digits < 7; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.abs(short / value - 1) <= tolerance) return short;
  }
  return value;
}
