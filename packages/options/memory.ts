import { UsageError } from "@lopper/core";
import { text } from "./form.ts";
import type { OptionTable } from "./option.ts";
import { bytesOfSize } from "./size.ts";

/** Share of the free memory that a command takes that is not told how much. */
const DEFAULT_SHARE = 0.6;

/** What a command may hold in memory. */
export const MEMORY = {
  memory: {
    form: text("size"),
    help: "what it may take, e.g. 4GB or 50%",
    stated: `${100 * DEFAULT_SHARE} % of what is free`,
  },
} as const satisfies OptionTable;

/**
 * Bytes of "4GB", "512MiB" or "50%" (of what is free); without it, 60 % of what is free.
 * @throws {UsageError} for anything else.
 */
export function memoryBudget(text: string | undefined, freeBytes: number): number {
  if (text === undefined) return DEFAULT_SHARE * freeBytes;
  const share = /^(\d+(?:\.\d+)?)\s*%$/.exec(text.trim());
  const bytes = share ? Number(share[1]) / 100 * freeBytes : bytesOfSize(text);
  if (!(bytes > 0) || Number(share?.[1] ?? 0) > 100) {
    throw new UsageError(
      `--memory is ${
        JSON.stringify(text)
      }; it needs to be a size such as 4GB, 512MiB or 50% of what is free`,
    );
  }
  return bytes;
}
