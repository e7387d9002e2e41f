import { ResumeError } from "@lopper/core";
import { rankedState, rankingFault } from "./check_ranking.ts";
import { costBetween } from "./cost.ts";
import type { Stage } from "./policy.ts";
import { savedBy } from "./saved.ts";
import { releaseAll, type Search, type SearchEvent, type SearchPosition } from "./search.ts";
import type { RankingLine } from "./journal_lines.ts";

/**
 * Ranks the units that a stage narrows, and lays them out so: with a ranker, else the ranking stays
 * as it is.
 * @param number of the stage in the policy.
 * @throws {ResumeError} when a ranking of the journal cannot be of this search.
 */
export async function* rankUnits(
  search: Search,
  reached: SearchPosition,
  stage: Stage,
  number: number,
): AsyncGenerator<SearchEvent, SearchPosition> {
  const ranker = search.options.units?.ranker;
  if (!ranker) return reached;
  const found: RankingLine[] = [];
  // All of them before any is applied: what one ranking finds out about the model serves the next,
  // and where a run is cut off between two of them makes no difference.
  for (const dimension of stage.narrows) {
    const known = recordedRanking(search, reached, number, dimension);
    // Hidden states of now will differ from those of the new ranking by rounding, a resumed run has
    // none, and a ranking may need their memory.
    releaseAll(search.options.scorers);
    const ranking = known ?? await newRanking(search, reached, stage, number, dimension);
    found.push(ranking);
    yield { type: "ranking", ranking, resumed: known !== undefined };
  }
  for (const ranking of found) await ranker.apply(ranking);
  return { ...reached, state: found.reduce(rankedState, reached.state) };
}

/** The ranking that an earlier run found; undefined where it found none. */
function recordedRanking(
  { history }: Search,
  { state }: SearchPosition,
  stage: number,
  dimension: string,
): RankingLine | undefined {
  const known = history.rankings.find((line) =>
    line.stage === stage && line.dimension === dimension
  );
  const fault = known && rankingFault(state, known);
  if (!fault) return known;
  throw new ResumeError(
    `the journal's ranking of ${dimension} for stage ${stage} is not of this search: ${fault}`,
  );
}

async function newRanking(
  { model, policy: { resource }, options: { units, measure } }: Search,
  { state: { shape } }: SearchPosition,
  { bound }: Stage,
  stage: number,
  dimension: string,
): Promise<RankingLine> {
  const percent = bound - savedBy(resource, model.blocks, shape);
  const before = measure();
  const ranking = await units!.ranker!.rank({ dimension, shape, percent, resource });
  return { type: "ranking", stage, dimension, ...ranking, cost: costBetween(before, measure()) };
}
