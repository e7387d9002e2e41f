import { UsageError } from "@lopper/core";
import { InvalidArgumentError } from "commander";

/** Parses a whole number of at least `min`. */
export function wholeNumber(min: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < min) {
      throw new InvalidArgumentError(`It needs to be a whole number of at least ${min}.`);
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

/** Parses `10%` or `10`, above 0. */
export function percent(text: string): number {
  return decimal(0, Infinity)(text.trim().replace(/\s*%$/, ""));
}

/** Parses `a:b:c`, or `auto`. */
export function distribution(text: string): readonly [number, number, number] | "auto" {
  if (text === "auto") return text;
  const parts = text.split(":").map((part) => part.trim() === "" ? NaN : Number(part));
  if (parts.length !== 3 || !parts.every((share) => share >= 0 && share < Infinity)) {
    throw new UsageError(
      `--distribution is ${
        JSON.stringify(text)
      }; it needs three shares of blocks, MLP channels and heads, e.g. 44:52:4, or auto`,
    );
  }
  return [parts[0], parts[1], parts[2]];
}
