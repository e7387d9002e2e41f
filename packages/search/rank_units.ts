import { ResumeError } from "@lopper/core";
import type { Arrangement } from "./arrange.ts";
import { orderFault, rankedState } from "./check_order.ts";
import { costBetween } from "./cost.ts";
import type { Stage } from "./policy.ts";
import { savedBy } from "./saved.ts";
import { type Reached, releaseAll, type Search, type SearchEvent } from "./search.ts";

/**
 * Ranks the units that a stage narrows, and lays them out so: with an arranger, else the ranking stays as it is.
 * @param number of the stage in the policy.
 * @throws {ResumeError} when a ranking of the journal cannot be of this search.
 */
export async function* rankUnits(
  search: Search,
  reached: Reached,
  stage: Stage,
  number: number,
): AsyncGenerator<SearchEvent, Reached> {
  const arranger = search.options.units?.arranger;
  if (!arranger) return reached;
  const found: Arrangement[] = [];
  // All of them before any is applied: what one order finds out about the model serves the next, and where a run is cut
  // off between two of them makes no difference.
  for (const dimension of stage.narrows) {
    const known = recordedOrder(search, reached, number, dimension);
    // Hidden states of now will differ from those of the new order by rounding, a resumed run has none, and an order may need
    // their memory.
    releaseAll(search.options.scorers);
    const arrangement = known ?? await newOrder(search, reached, stage, number, dimension);
    found.push(arrangement);
    yield { type: "order", arrangement, resumed: known !== undefined };
  }
  for (const arrangement of found) await arranger.apply(arrangement);
  return { ...reached, state: found.reduce(rankedState, reached.state) };
}

/** The order that an earlier run found; undefined where it found none. */
function recordedOrder(
  { history }: Search,
  { state }: Reached,
  stage: number,
  dimension: string,
): Arrangement | undefined {
  const known = history.arrangements.find((line) =>
    line.stage === stage && line.dimension === dimension
  );
  const fault = known && orderFault(state, known);
  if (!fault) return known;
  throw new ResumeError(
    `the journal's order of ${dimension} for stage ${stage} is not of this search: ${fault}`,
  );
}

async function newOrder(
  { model, policy: { resource }, options: { units, measure } }: Search,
  { state: { shape } }: Reached,
  { bound }: Stage,
  stage: number,
  dimension: string,
): Promise<Arrangement> {
  const percent = bound - savedBy(resource, model.blocks, shape);
  const before = measure();
  const order = await units!.arranger!.arrange({ dimension, shape, percent, resource });
  return { type: "order", stage, dimension, ...order, cost: costBetween(before, measure()) };
}
