import { InvalidArgumentError } from "commander";

/** The largest seed: generators take 32 bits, and would take a larger one for a smaller. */
export const MAX_SEED = 2 ** 32 - 1;

/** Parses a whole number from `min` to `max`; `why` says where the largest comes from. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER, why = "") {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !(value >= min && value <= max)) {
      const bounds = max === Number.MAX_SAFE_INTEGER
        ? `of at least ${min}`
        : `from ${min} to ${max}`;
      throw new InvalidArgumentError(
        `It needs to be a whole number ${bounds}${why && ` (${why})`}.`,
      );
    }
    return value;
  };
}

/** Parses a decimal number within bounds; `above` itself is excluded unless `orEqual`. */
export function decimal(above: number, below: number, options: { orEqual?: boolean } = {}) {
  return (text: string): number => {
    const value = Number(text);
    const fits = (options.orEqual ? value >= above : value > above) && value < below;
    if (text.trim() === "" || !fits) {
      const low = options.orEqual ? `at least ${above}` : `above ${above}`;
      const high = below === Infinity ? "" : ` and below ${below}`;
      throw new InvalidArgumentError(`It needs to be a number ${low}${high}.`);
    }
    return value;
  };
}

/** Parses `10%` or `10`, above 0 and below `below`. A bare number below 1 may be meant as a part of 1, and is asked back. */
export function percent(below: number) {
  return (text: string): number => {
    const number = text.trim().replace(/\s*%$/, "");
    const value = decimal(0, below)(number);
    if (value >= 1 || text.includes("%")) return value;
    const hundredfold = Number((100 * value).toPrecision(12));
    throw new InvalidArgumentError(
      `It is taken in per cent, which is little; was ${hundredfold}% meant? Write that, or ${number}%.`,
    );
  };
}

/** A number of per cent as `percent` takes it. */
export function percentWord(value: number): string {
  return value < 1 ? `${value}%` : String(value);
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/** Bytes of "4GB" or "512MiB"; NaN for anything that is no size. */
export function sizeInBytes(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  return Number(number) * (UNITS[unit?.toUpperCase()] ?? NaN);
}

/** Parses a size above 0, in bytes. */
export function size(text: string): number {
  const bytes = sizeInBytes(text);
  if (!(bytes > 0)) {
    throw new InvalidArgumentError("It needs to be a size such as 200MB or 1.5GiB.");
  }
  return bytes;
}
