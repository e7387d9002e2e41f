import { UsageError } from "@lopper/core";

/**
 * Parses `a:b:c`, or `auto`.
 * @throws {UsageError} for anything else.
 */
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
