import type { Candidate, Change } from "@lopper/core";
import { perplexity } from "@lopper/importance";
import { proposalOf } from "./proposal.ts";
import type { SearchResult } from "./search.ts";
import type { SearchModel } from "./search_model.ts";
import { denseState, stateAfter } from "./state.ts";
import type { FrontierStep, Swap, SwapPhase, Way } from "./way_schema.ts";
import type { Measure, Step, SwapLine } from "./journal_lines.ts";

/**
 * All that the steps of a way changed, and the swaps between them and after them, in their order.
 */
export function changesOf({ frontier, swaps }: Way): Candidate {
  return frontier.flatMap(({ changes }, i): readonly Change[] => [
    ...changes,
    ...swaps.filter(({ steps }) => steps === i + 1)
      .flatMap(({ kept }) => kept.flatMap((swap) => swap.changes)),
  ]);
}

/** The steps of a search and the swaps between them as run.json keeps them. */
export function wayOf(
  model: SearchModel,
  { steps, measures, swaps }: Pick<SearchResult, "steps" | "measures" | "swaps">,
): Way {
  let state = denseState(model.blocks);
  const take = (changes: Candidate) => {
    state = stateAfter(state, proposalOf(state, changes));
    return model.stored(state.shape);
  };
  const frontier: FrontierStep[] = [];
  const phases: SwapPhase[] = [];
  for (const [i, step] of steps.entries()) {
    frontier.push(frontierStep(step, take(step.taken.changes), heldOutOf(measures, i + 1)));
    const lines = swaps.filter((line) => line.steps === i + 1);
    if (lines.length === 0) continue;
    const kept = lines.flatMap((line, n): readonly Swap[] => {
      if (line.type !== "swap" || !line.kept) return [];
      const { kept: changes, ratio, after } = line;
      const heldOut = heldOutOf(measures, i + 1, n);
      return [
        { changes, ratio, parameters: take(changes), perplexity: perplexity(after), heldOut },
      ];
    });
    phases.push(phaseOf(lines, kept));
  }
  return { frontier, swaps: phases };
}

/** What a model with these blocks is worth on the held-out text; null where it was not measured. */
function heldOutOf(measures: readonly Measure[], steps: number, swap?: number): number | null {
  const found = measures.find((line) =>
    line.steps === steps && line.on === "held_out" && line.swap === swap
  );
  return found ? perplexity(found.nll) : null;
}

function frontierStep(
  { stage, taken: { changes }, ppl, ratio, latency }: Step,
  parameters: number,
  heldOut: number | null,
): FrontierStep {
  return {
    stage,
    changes,
    ratio,
    ...(latency !== undefined && { latency }),
    parameters,
    perplexity: ppl,
    heldOut,
  };
}

/** The swaps of one target. */
function phaseOf(lines: readonly SwapLine[], kept: readonly Swap[]): SwapPhase {
  const summary = lines.find((line) => line.type === "swaps")!;
  const finite = (nll: readonly number[]) => {
    const value = perplexity(nll);
    return Number.isFinite(value) ? value : null;
  };
  return {
    steps: summary.steps,
    tried: summary.tried,
    kept,
    perplexity: { before: finite(summary.before), after: finite(summary.after) },
    blockTokens: lines.reduce((sum, { cost }) => sum + cost.blockTokens, 0),
  };
}
