import { memoryBudget } from "@lopper/options";
import { freemem } from "node:os";

/** Bytes that a command may take by what is free now. */
export function budgetNow(text: string | undefined): number {
  return memoryBudget(text, freemem());
}
