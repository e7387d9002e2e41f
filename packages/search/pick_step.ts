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
  const { model, policy, options } = search;
  const scores = scoresOf(search, reached, stage, candidates, stage.weight);
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
  const step = yield* decided(search, reached, stepOf(model, policy, stage, scores, index));
  return { step, taken: candidates[index], nll: scores.nll(index), work };
}

/**
 * Says what the next step is; where an earlier run took it, as that recorded it.
 * @throws {ResumeError} when an earlier run took another one.
 */
export function* decided(
  { history }: Search,
  { steps }: SearchPosition,
  step: Step,
): Generator<SearchEvent, Step> {
  const recorded = history.steps[steps.length];
  if (recorded) checkSameDecision(recorded, step);
  yield { type: "step", step: recorded ?? step, resumed: recorded !== undefined };
  return recorded ?? step;
}

/** The scores of the next step, with what an earlier run found out. */
export function scoresOf(
  { evidence, options }: Search,
  { steps, state, scored }: SearchPosition,
  stage: Stage,
  candidates: readonly Proposal[],
  weight?: Stage["weight"],
): StepScores {
  const step = steps.length;
  return new StepScores({
    step,
    base: state.shape,
    candidates,
    scorer: options.scorers[stage.samples],
    weights: weight && candidates.map((c) => weight(c, state)),
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
