import type { Shape } from "@lopper/core";
import { decided, scoresOf } from "../pick_step.ts";
import { changesTo } from "../plan.ts";
import type { Stage, StageTable } from "../policy.ts";
import type { GroupSizes } from "../dimensions/dimension.ts";
import { proposalOf } from "../proposal.ts";
import { meanOf } from "../race/race_step.ts";
import { savedBy } from "../saved.ts";
import { BASE, type ScoreEvent, type StepScores } from "../scores.ts";
import type { Search, SearchEvent, SearchPosition } from "../search.ts";
import { stepOf } from "../step.ts";
import { takeStep } from "../take_step.ts";
import { courseOf } from "./course.ts";
import type { Fitter } from "./fitter.ts";
import { bothRemovals } from "./removals.ts";
import { endsStep, tableBatches, tableWork } from "./table_work.ts";

/**
 * Takes what a stage is to save by a table: every cell, a single change of what is there when the
 * stage begins, is scored once, on some of the samples, and fitted where there is a fitter. A
 * knapsack over the table gives the plan; each step takes a part of it, and is scored as a whole on
 * all samples, without fits.
 */
export async function* takeByTable(
  search: Search,
  start: SearchPosition,
  stage: Stage,
  { cells, groups }: StageTable,
  fitter: Fitter | null,
): AsyncGenerator<SearchEvent, SearchPosition> {
  const { model, policy, options: { scorers } } = search;
  const scorer = scorers[stage.samples];
  const { tokens } = tableWork(policy, stage, start.state, scorer);
  const told = progressOf(search, start, stage, start.work + tokens);
  const table = scoresOf(search, start, stage, cells(start.state));
  let work = start.work + (yield* told(start.work, fill(table, fitter)));
  let reached = { ...start, work };
  for (const shape of stepsOf(search, start, { bound: stage.bound, groups }, table)) {
    const scores = reached.steps.length === start.steps.length
      ? table
      : scoresOf(search, reached, stage, []);
    const taken = proposalOf(reached.state, changesTo(reached.state, shape));
    const index = scores.add(taken);
    work = yield* told(reached.work, scores.score(index, [...scorer.batches.keys()]));
    const step = yield* decided(search, reached, stepOf(model, policy, stage, scores, index));
    const picked = { step, taken, nll: scores.nll(index), work };
    reached = yield* takeStep(search, reached, stage, picked);
    if (reached.beyond) break;
  }
  return reached;
}

/** Scores every cell, block after block. */
async function* fill(
  table: StepScores,
  fitter: Fitter | null,
): AsyncGenerator<ScoreEvent, void> {
  const batches = tableBatches(table.scorer);
  const isFitted = (cell: number) =>
    fitter !== null && table.candidates[cell].changes[0].dimension !== null;
  const plain = [...table.candidates.keys()].filter((cell) => !isFitted(cell));
  table.expect([BASE, ...plain], batches);
  yield* table.scoreBase(batches);
  for (const [cell, { shape, first }] of table.candidates.entries()) {
    if (fitter === null || !isFitted(cell)) {
      yield* table.score(cell, batches);
      continue;
    }
    const known = table.isRecorded(cell, batches);
    if (!known) await fitter.put({ shape, first });
    try {
      yield* table.score(cell, batches, true);
    } finally {
      if (!known) await fitter.restore();
    }
  }
}

/** What the steps leave: the plan of the knapsack, cut where so much is saved. */
function stepsOf(
  { model: { blocks }, policy: { resource } }: Search,
  { state }: SearchPosition,
  { bound, groups }: { readonly bound: number; readonly groups: GroupSizes },
  table: StepScores,
): readonly Shape[] {
  const saved = (shape: Shape) => savedBy(resource, blocks, shape);
  const losses = table.candidates.map((_, cell) => meanOf(table.lossIncrease(cell)));
  const removals = bothRemovals(state, table.candidates, losses, { resource, groups });
  const course = courseOf(state.shape, removals, saved, bound);
  return course.filter((shape, i) =>
    i === course.length - 1 || endsStep(saved(course[i - 1] ?? state.shape), saved(shape))
  );
}

/** Passes on what is scored, and says how far that is on the way to `total` candidate-tokens. */
function progressOf(
  { model }: Search,
  { state }: SearchPosition,
  { name }: Stage,
  total: number,
) {
  const ratio = savedBy(model.parameters, model.blocks, state.shape);
  return async function* (
    before: number,
    scored: AsyncGenerator<ScoreEvent, void>,
  ): AsyncGenerator<SearchEvent, number> {
    let work = 0;
    for await (const event of scored) {
      if (event.type !== "tokens") {
        yield { type: "evidence", evidence: event };
        continue;
      }
      work += event.tokens;
      const done = before + work;
      yield { type: "progress", stage: name, ratio, done, total: Math.max(done, total) };
    }
    return work;
  };
}
