import { reduction, ResumeError } from "@lopper/core";
import type { Arrangement } from "./arrange.ts";
import { orderFault } from "./check_order.ts";
import { costBetween } from "./cost.ts";
import type { Stage } from "./policy.ts";
import { type Reached, releaseAll, type Search, type SearchEvent } from "./search.ts";

/**
 * Ranks the units that a stage narrows, and lays them out so: with an arranger, else they stay as they lie.
 * @param number of the stage in the policy.
 * @throws {ResumeError} when an order of the journal cannot be of this search.
 */
export async function* rankUnits(
  search: Search,
  reached: Reached,
  stage: Stage,
  number: number,
): AsyncGenerator<SearchEvent, Reached> {
  const { arranger } = search.options;
  if (!arranger) return reached;
  const found: Arrangement[] = [];
  // All of them before any is applied: what one order finds out about the model serves the next, and where a run is cut
  // off between two of them makes no difference.
  for (const units of stage.narrows) {
    const known = recordedOrder(search, reached, number, units);
    // Streams of now will differ from those of the new order by rounding, a resumed run has none, and an order may need
    // their memory.
    releaseAll(search.options.scorers);
    const arrangement = known ?? await newOrder(search, reached, stage, number, units);
    found.push(arrangement);
    yield { type: "order", arrangement, resumed: known !== undefined };
  }
  for (const arrangement of found) await arranger.apply(arrangement);
  return {
    ...reached,
    orders: new Map([...reached.orders, ...found.map((order) => [order.units, order] as const)]),
  };
}

/** The order that an earlier run found; undefined where it found none. */
function recordedOrder(
  { spec, history }: Search,
  { layers, orders }: Reached,
  stage: number,
  units: Arrangement["units"],
): Arrangement | undefined {
  const known = history.arrangements.find((line) => line.stage === stage && line.units === units);
  const fault = known && orderFault(spec, layers, known, orders.get(units) ?? null);
  if (!fault) return known;
  throw new ResumeError(
    `the journal's order of ${units} for stage ${stage} is not of this search: ${fault}`,
  );
}

async function newOrder(
  { spec, policy: { resource }, options: { arranger, measure } }: Search,
  { layers }: Reached,
  { bound }: Stage,
  stage: number,
  units: Arrangement["units"],
): Promise<Arrangement> {
  const percent = bound - reduction(resource, spec.layers, layers);
  const before = measure();
  const order = await arranger!.arrange({ units, layers, percent, resource });
  return { type: "order", stage, units, ...order, cost: costBetween(before, measure()) };
}
