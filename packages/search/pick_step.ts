import { LopperError } from "@lopper/core";
import type { Stage } from "./policy.ts";
import type { Proposal } from "./proposal.ts";
import { expectedSteps, expectedTokens } from "./reach.ts";
import { savedBy } from "./saved.ts";
import { type SequenceNll, StepScores } from "./scores.ts";
import type { Search, SearchEvent, SearchPosition } from "./search.ts";
import { checkSameDecision, stepOf } from "./step.ts";
import type { Step } from "./journal_lines.ts";

/** A step that was decided, and not taken yet. */
export interface PickedStep {
  readonly step: Step;
  readonly taken: Proposal;
  /** NLL by sequence of what the step leaves. */
  readonly nll: SequenceNll;
  /** Candidate-tokens that deciding it took. */
  readonly work: number;
}

/**
 * Has the picker decide which of the candidates goes.
 * @param firstOfStage whether the kinds of candidates differ from those of the step before.
 * @throws {LopperError} when the text says nothing of any candidate.
 * @throws {ResumeError} when an earlier run took another one.
 */
export async function* pickStep(
  search: Search,
  reached: SearchPosition,
  stage: Stage,
  candidates: readonly Proposal[],
  firstOfStage: boolean,
): AsyncGenerator<SearchEvent, PickedStep> {
  const { model, policy, history, options } = search;
  const scores = scoresOf(search, reached, stage, candidates);
  const progress = progressOf(search, reached, stage);
  let work = 0;
  const picking = options.picker.pick(scores, firstOfStage);
  let update = await picking.next();
  for (; !update.done; update = await picking.next()) {
    if (update.value.type !== "tokens") {
      yield { type: "evidence", evidence: update.value };
      continue;
    }
    work += update.value.tokens;
    yield progress(work);
  }
  const index = update.value;
  if (index < 0) {
    throw new LopperError(
      `stage ${stage.name}: no candidate has a finite perplexity; the model's activations overflow on this text`,
    );
  }
  const step = stepOf(model, policy, stage, scores, index);
  const recorded = history.steps[reached.steps.length];
  if (recorded) checkSameDecision(recorded, step);
  yield { type: "step", step: recorded ?? step, resumed: recorded !== undefined };
  return { step: recorded ?? step, taken: candidates[index], nll: scores.nll(index), work };
}

/** The scores of the next step, with what an earlier run found out. */
function scoresOf(
  { evidence, options }: Search,
  { steps, state, scored }: SearchPosition,
  stage: Stage,
  candidates: readonly Proposal[],
): StepScores {
  const step = steps.length;
  return new StepScores({
    step,
    base: state.shape,
    candidates,
    scorer: options.scorers[stage.samples],
    weights: stage.weight && candidates.map((c) => stage.weight!(c, state)),
    baseNll: scored?.nll ?? null,
    recorded: evidence.get(step) ?? [],
    measure: options.measure,
  });
}

/** Says how far a search has come when so many candidate-tokens of the next step are scored. */
function progressOf(
  { model, policy, options: { picker, scorers } }: Search,
  { state, work }: SearchPosition,
  { name }: Stage,
): (tokens: number) => SearchEvent {
  const ratio = savedBy(model.parameters, model.blocks, state.shape);
  const left = expectedTokens(expectedSteps(policy, state), picker, scorers);
  return (tokens) => {
    const done = work + tokens;
    return { type: "progress", stage: name, ratio, done, total: Math.max(done, work + left) };
  };
}
