import { memoryBudget } from "@lopper/options";

/** Bytes that a command may take by what is free now. */
export function budgetNow(text: string | undefined): number {
  return memoryBudget(text, Deno.systemMemoryInfo().available);
}
