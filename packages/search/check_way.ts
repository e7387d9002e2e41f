import { afterChanges, allKept, type Candidate, PlanError, shapeOfKept } from "@lopper/core";
import { agrees } from "./misfit.ts";
import { savedBy } from "./saved.ts";
import type { SearchModel } from "./search_model.ts";
import type { Way } from "./way_schema.ts";

/**
 * Checks what a record says of the way of a run against the model: what each step and swap removed
 * was there, and ratios and parameters are those of what is left.
 * @throws {PlanError} naming the step that does not fit.
 */
export function checkWay(model: SearchModel, { frontier, swaps }: Way) {
  const { blocks } = model;
  let kept = allKept(blocks);
  const take = (what: string, { changes, ...amounts }: Amounts & { changes: Candidate }) => {
    if (changes.length === 0) throw new PlanError(`${what}: it changes nothing`);
    kept = named(what, () => afterChanges(blocks, kept, changes));
    const fault = amountFault(model, shapeOfKept(blocks, kept), amounts);
    if (fault) throw new PlanError(`${what}: ${fault}`);
  };
  for (const [i, step] of frontier.entries()) {
    take(`step ${i + 1} of its frontier`, step);
    const [phase, ...others] = swaps.filter(({ steps }) => steps === i + 1);
    if (others.length > 0) throw new PlanError(`it has swaps after step ${i + 1} twice`);
    for (const [n, swap] of (phase?.kept ?? []).entries()) {
      take(`swap ${n + 1} after step ${i + 1} of its frontier`, swap);
    }
  }
  const lost = swaps.find(({ steps }) => steps < 1 || steps > frontier.length);
  if (lost) throw new PlanError(`it has swaps after step ${lost.steps}, which its frontier lacks`);
}

/** @throws {PlanError} of `of`, saying of what. */
function named<T>(what: string, of: () => T): T {
  try {
    return of();
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    throw new PlanError(`${what}: ${error.message}`, { cause: error });
  }
}

interface Amounts {
  readonly ratio: number;
  readonly parameters: number;
}

function amountFault(
  { blocks, parameters: published, stored }: SearchModel,
  shape: ReturnType<typeof shapeOfKept>,
  { ratio, parameters }: Amounts,
): string | null {
  const computed = { ratio: savedBy(published, blocks, shape), parameters: stored(shape) };
  if (!agrees(ratio, computed.ratio)) {
    return `its ratio is ${ratio}, and what it leaves is ${computed.ratio}`;
  }
  return parameters === computed.parameters
    ? null
    : `it says ${parameters} parameters, and what it leaves has ${computed.parameters}`;
}
