import { UsageError } from "@lopper/core";
import { compensated } from "./compensated.ts";
import { energy } from "./energy.ts";
import { l1 } from "./l1.ts";
import { msan } from "./msan.ts";
import { reap } from "./reap.ts";
import type { RankingRule } from "./rule.ts";
import { wanda } from "./wanda.ts";

/**
 * All rules by which units can be ranked, the published one first. A new one is a file, its test
 * and a line here.
 */
export const RANKINGS = [
  l1,
  energy,
  wanda,
  compensated,
  msan,
  reap,
] as const satisfies readonly RankingRule[];

export type RankingName = typeof RANKINGS[number]["name"];
export const RANKING_NAMES: readonly RankingName[] = RANKINGS.map(({ name }) => name);

/** The published rule: what is not asked for by another lies in its order. */
export const PUBLISHED_RANKING = l1;

/** What `--ranking` can say: a rule, or to try those that a trial can tell apart. */
export const RANKING_CHOICES: readonly (RankingName | "auto")[] = [...RANKING_NAMES, "auto"];

/**
 * The rules that `--ranking` asks for: one, or those that are tried, the published one first.
 * @throws {UsageError} for a name that no rule has.
 */
export function rankingsOf(ranking: string): readonly RankingRule[] {
  const asked = (RANKINGS as readonly RankingRule[])
    .filter(({ name, isTried }) => ranking === "auto" ? isTried : name === ranking);
  if (asked.length > 0) return asked;
  throw new UsageError(
    `--ranking is ${JSON.stringify(ranking)}; it needs to be one of ${RANKING_CHOICES.join(", ")}`,
  );
}

/** Whether a rule ranks the units of a dimension. */
export function ranks({ dimensions }: RankingRule, dimension: string): boolean {
  return dimensions?.includes(dimension) ?? !OF_EXPERTS.dimensions.includes(dimension);
}

/** By which experts go where no ranking of theirs is asked for. */
const OF_EXPERTS: RankingRule & { readonly dimensions: readonly string[] } = msan;

/** The rule by which units of a dimension go that no rule that was asked for can rank. */
export function usualRanking(dimension: string): RankingRule {
  return ranks(OF_EXPERTS, dimension) ? OF_EXPERTS : PUBLISHED_RANKING;
}
