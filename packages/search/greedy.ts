import { denseShape, ResumeError, UnreachableTargetError } from "@lopper/core";
import { Gauge } from "./gauge.ts";
import { NO_HISTORY } from "./history.ts";
import { pickStep } from "./pick_step.ts";
import { type SearchPolicy, type Stage, stageLabel } from "./policy.ts";
import { rankUnits } from "./rank_units.ts";
import { savedBy } from "./saved.ts";
import {
  releaseAll,
  type Search,
  type SearchEvent,
  type SearchOptions,
  type SearchPosition,
  type SearchResult,
  startOf,
} from "./search.ts";
import type { SearchModel } from "./search_model.ts";
import { swapUnits } from "./swap/swap_units.ts";
import { ByTable } from "./table/by_table.ts";
import { takeByTable } from "./table/take_by_table.ts";
import { takeStep } from "./take_step.ts";

/**
 * The one greedy loop: at each step the picker takes one of the candidates of the policy's stage. A
 * stage without candidates ends with a warning, and the next goes on. An earlier run is resumed by
 * deciding everything again from what it recorded, so that a run that was cut off and one that was
 * not cannot differ.
 * @throws {UnreachableTargetError} when the candidates end below the target, unless `bestEffort`.
 * @throws {ResumeError} when `history` is not of this search.
 */
export async function* greedySearch(
  model: SearchModel,
  policy: SearchPolicy,
  options: SearchOptions,
): AsyncGenerator<SearchEvent, SearchResult> {
  const search = searchOf(model, policy, options);
  yield* search.gauge.start();
  let reached = startOf(model, options.units?.ranking);
  for (const [number, stage] of policy.stages.entries()) {
    reached = yield* takeSteps(search, reached, stage, number);
    if (reached.beyond) break;
    if (stage.exchange) reached = yield* swapUnits(search, reached, stage.exchange);
  }
  releaseAll(options.scorers);
  checkHistoryEnds(search, reached);
  checkTarget(search, reached);
  const { state, changes, steps, swaps, beyond } = reached;
  const { measures } = search.gauge;
  const ratio = savedBy(model.parameters, model.blocks, state.shape);
  return { state, changes, ratio, steps, measures, swaps, beyond };
}

function searchOf(model: SearchModel, policy: SearchPolicy, options: SearchOptions): Search {
  const history = options.history ?? NO_HISTORY;
  const gauge = new Gauge({
    scorers: options.scorers,
    heldOut: options.watch?.heldOut,
    maxIncrease: options.watch?.maxIncrease,
    dense: denseShape(model.blocks),
    recorded: history.measures,
    measure: options.measure,
    onWork: options.onMeasuring,
  });
  const evidence = Map.groupBy(history.evidence, ({ step }) => step);
  return { model, policy, options, history, evidence, gauge };
}

/** Takes steps until the stage's bound is reached, its candidates end, or one goes too far. */
async function* takeSteps(
  search: Search,
  start: SearchPosition,
  stage: Stage,
  number: number,
): AsyncGenerator<SearchEvent, SearchPosition> {
  const { options } = search;
  let reached = onSamplesOf(stage, start, options);
  for (let first = true; savedIn(search, reached) < stage.bound; first = false) {
    const candidates = stage.candidates(reached.state, stage.bound);
    if (candidates.length === 0) {
      // One that took over nothing has said so when it ended before.
      if (!stage.endsShort && !(stage.takesOver && first)) {
        yield warningOf(search, reached, stage, number);
      }
      break;
    }
    if (first) reached = yield* rankUnits(search, reached, stage, number);
    if (first && stage.table && options.picker instanceof ByTable) {
      reached = yield* takeByTable(search, reached, stage, stage.table, options.picker.fitter);
      if (reached.beyond) break;
      continue;
    }
    // The ranking says which units its candidates remove.
    const ranked = first ? stage.candidates(reached.state, stage.bound) : candidates;
    const picked = yield* pickStep(search, reached, stage, ranked, first);
    reached = yield* takeStep(search, reached, stage, picked);
    if (reached.beyond) break;
  }
  return reached;
}

/** Forgets what is known of the loss where a stage scores on other samples than the last step. */
function onSamplesOf(
  stage: Stage,
  reached: SearchPosition,
  { scorers }: SearchOptions,
): SearchPosition {
  const { scored } = reached;
  if (!scored || scored.samples === stage.samples) return reached;
  scorers[scored.samples].release();
  return { ...reached, scored: { ...scored, nll: null } };
}

/** Per cent of the policy's resource that are saved. */
function savedIn({ model, policy }: Search, { state }: SearchPosition): number {
  return savedBy(policy.resource, model.blocks, state.shape);
}

function warningOf(
  search: Search,
  reached: SearchPosition,
  { name, bound }: Stage,
  number: number,
): SearchEvent {
  const { resource, stages } = search.policy;
  const saved = savedIn(search, reached);
  const next = stages.slice(number + 1).find((stage) =>
    saved < stage.bound && stage.candidates(reached.state, stage.bound).length > 0
  );
  const of = resource.name === "latency" ? " of the predicted time" : "";
  return {
    type: "warning",
    message: `no more ${stageLabel(name)} can go at ${saved.toFixed(2)} %${of}, and their share ` +
      `ends at ${bound.toFixed(2)} %${next ? `; ${stageLabel(next.name)} go on` : ""}`,
  };
}

/** @throws {ResumeError} when the journal goes on where the search ends. */
function checkHistoryEnds({ history }: Search, { steps, swaps, beyond }: SearchPosition) {
  const decided = steps.length + (beyond ? 1 : 0);
  if (history.steps.length > decided) {
    throw new ResumeError(
      `the journal has ${history.steps.length} steps and this search ends after ${decided}; it belongs to another target`,
    );
  }
  const foreign = history.swaps.find((line) => !swaps.includes(line));
  if (foreign) {
    throw new ResumeError(
      `the journal has swaps after step ${foreign.steps}, where this search makes none; it belongs to another target`,
    );
  }
}

/**
 * @throws {UnreachableTargetError} when less is saved than was asked for, unless that was to be so.
 */
function checkTarget(search: Search, reached: SearchPosition) {
  const { model, policy: { target, resource }, options } = search;
  const saved = savedIn(search, reached);
  if (saved >= target || reached.beyond || options.bestEffort) return;
  throw new UnreachableTargetError(
    target,
    saved,
    "no candidates are left",
    {
      searched: true,
      ...(resource.name === "latency" &&
        { denseLatency: resource.amount(denseShape(model.blocks)) }),
    },
  );
}
