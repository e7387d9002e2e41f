import { UsageError } from "@lopper/core";
import type { Criterion } from "./criterion.ts";
import { kl } from "./kl.ts";
import { perplexity } from "./perplexity.ts";

/**
 * All that candidates can be judged by, the published criterion first. A new one is a file, its
 * test and a line here.
 */
export const CRITERIA = [perplexity, kl] as const satisfies readonly Criterion[];

export type CriterionName = typeof CRITERIA[number]["name"];
export const CRITERION_NAMES: readonly CriterionName[] = CRITERIA.map(({ name }) => name);

/** The criterion of a name. @throws {UsageError} when there is none. */
export function criterionOf(name: string): Criterion {
  const found = CRITERIA.find((criterion) => criterion.name === name);
  if (found) return found;
  throw new UsageError(
    `--criterion is ${JSON.stringify(name)}; it needs to be one of ${CRITERION_NAMES.join(", ")}`,
  );
}
