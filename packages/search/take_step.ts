import type { PickedStep } from "./pick_step.ts";
import type { Stage } from "./policy.ts";
import type { Search, SearchEvent, SearchPosition } from "./search.ts";
import { lastKept, stateAfter } from "./state.ts";

/** Measures what a step that was decided leaves, and takes it unless it goes too far. */
export async function* takeStep(
  { gauge, options }: Search,
  reached: SearchPosition,
  { samples }: Stage,
  { step, taken, nll, work }: PickedStep,
): AsyncGenerator<SearchEvent, SearchPosition> {
  const steps = reached.steps.length + 1;
  const increase = yield* gauge.after(steps, taken.shape, samples, step.ppl);
  if (gauge.exceeds(increase)) return { ...reached, beyond: { step, increase } };
  if (options.withoutReuse) options.scorers[samples].release();
  const state = stateAfter(reached.state, taken);
  return {
    ...reached,
    state,
    last: lastKept(state, reached.last),
    changes: [...reached.changes, ...taken.changes],
    steps: [...reached.steps, step],
    scored: { samples, nll },
    work: reached.work + work,
  };
}
