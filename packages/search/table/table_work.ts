import type { Scorer } from "@lopper/importance";
import type { SearchPolicy, Stage } from "../policy.ts";
import { savedBy } from "../saved.ts";
import type { SearchState } from "../state.ts";

/** A cell is scored on so many tokens at least. */
const CELL_TOKENS = 1024;
/** A step of the plan that a table gives saves so many per cent, or what is left to the bound. */
const STEP_PERCENT = 2.5;

/** The batches that cells are scored on: as many as that takes, and no more than are kept. */
export function tableBatches(
  { batches, length, keptBatches }: Pick<Scorer, "batches" | "length" | "keptBatches">,
): readonly number[] {
  let tokens = 0;
  const those: number[] = [];
  for (const [batch, sequences] of batches.entries()) {
    if (tokens >= CELL_TOKENS || those.length >= Math.max(1, keptBatches)) break;
    tokens += sequences.length * length;
    those.push(batch);
  }
  return those;
}

/** Whether what was saved and what is now lie on both sides of where a step ends. */
export function endsStep(before: number, now: number): boolean {
  return Math.floor(now / STEP_PERCENT) > Math.floor(before / STEP_PERCENT);
}

/** What a stage takes that goes by a table: its cells, the steps of its plan, candidate-tokens. */
export function tableWork(
  { resource }: Pick<SearchPolicy, "resource">,
  { bound, table }: Pick<Stage, "bound" | "table">,
  state: SearchState,
  scorer: Pick<Scorer, "batches" | "length" | "keptBatches" | "tokens">,
): { readonly cells: number; readonly steps: number; readonly tokens: number } {
  const cells = table?.cells(state).length ?? 0;
  const missing = Math.max(0, bound - savedBy(resource, state.blocks, state.shape));
  const steps = Math.ceil(missing / STEP_PERCENT);
  const sequences = tableBatches(scorer).reduce((sum, b) => sum + scorer.batches[b].length, 0);
  return {
    cells,
    steps,
    tokens: cells * sequences * scorer.length + steps * scorer.tokens,
  };
}
