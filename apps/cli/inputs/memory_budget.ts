import { UsageError } from "@lopper/core";
import { sizeInBytes } from "./options.ts";

/** Share of the free memory that a run takes without --memory. */
const DEFAULT_SHARE = 0.6;
/** The same, for help texts. */
export const MEMORY_DEFAULT = `${100 * DEFAULT_SHARE} % of what is free`;

/**
 * Bytes of "4GB", "512MiB" or "50%" (of what is free); without it, 60 % of what is free.
 * @throws {UsageError} for anything else.
 */
export function memoryBudget(text: string | undefined, freeBytes: number): number {
  if (text === undefined) return DEFAULT_SHARE * freeBytes;
  const share = /^(\d+(?:\.\d+)?)\s*%$/.exec(text.trim());
  const bytes = share ? Number(share[1]) / 100 * freeBytes : sizeInBytes(text);
  if (!(bytes > 0) || Number(share?.[1] ?? 0) > 100) {
    throw new UsageError(
      `--memory is ${
        JSON.stringify(text)
      }; it needs to be a size such as 4GB, 512MiB or 50% of what is free`,
    );
  }
  return bytes;
}

/** Bytes that a command may take by what is free now. */
export function budgetNow(text: string | undefined): number {
  return memoryBudget(text, Deno.systemMemoryInfo().available);
}
