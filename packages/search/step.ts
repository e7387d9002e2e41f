import { type ModelSpec, pruningRatio, ResumeError } from "@lopper/core";
import { type CandidateName, nameOf } from "./candidate.ts";
import type { SearchPolicy, Stage } from "./policy.ts";
import type { StepScores } from "./scores.ts";

/** A taken candidate with everything that decided it: one line of the journal. */
export interface Step {
  readonly type: "step";
  readonly step: number;
  readonly stage: Stage["name"];
  readonly taken: CandidateName;
  /** Perplexity of the taken candidate on all of the stage's samples. */
  readonly ppl: number;
  /** Published pruning ratio after the step, in per cent. */
  readonly ratio: number;
  /** Milliseconds that a token is predicted to take then, where that is what is to be saved. */
  readonly latency?: number;
  readonly candidates: readonly ScoredCandidate[];
  readonly blockTokens: { readonly spent: number; readonly full: number };
  readonly seconds: number;
}

/** A candidate, and its perplexity on the sequences that it was scored on; NaN on none. */
export interface ScoredCandidate extends CandidateName {
  readonly ppl: number;
  readonly sequences: number;
}

/** The step that takes one of the candidates that were scored. @param index of the taken one. */
export function stepOf(
  spec: ModelSpec,
  { resource }: Pick<SearchPolicy, "resource">,
  stage: Pick<Stage, "name">,
  scores: StepScores,
  index: number,
): Step {
  const { step, candidates, scorer, cost } = scores;
  const taken = candidates[index];
  return {
    type: "step",
    step,
    stage: stage.name,
    taken: nameOf(taken),
    ppl: scores.perplexity(index),
    ratio: pruningRatio(spec, taken.layers),
    ...(resource.name === "latency" && { latency: resource.amount(taken.layers) }),
    candidates: candidates.map((c, i) => ({
      ...nameOf(c),
      ppl: scores.perplexity(i),
      sequences: scores.count(i),
    })),
    blockTokens: {
      spent: cost.blockTokens,
      full: candidates.reduce((sum, c) => sum + scorer.fullCost(c.layers), 0),
    },
    seconds: cost.seconds,
  };
}

/** @throws {ResumeError} when a step of an earlier run is not the one that its scores decide for. */
export function checkSameDecision(recorded: Step, step: Step) {
  const same = recorded.step === step.step && recorded.stage === step.stage &&
    JSON.stringify(recorded.taken) === JSON.stringify(step.taken);
  if (same) return;
  const { kind, layer, width } = recorded.taken;
  throw new ResumeError(
    `step ${step.step} of the journal takes ${kind} of layer ${layer} (width ${width}) in stage ${recorded.stage}, ` +
      `and what it recorded of that step decides for ${step.taken.kind} of layer ${step.taken.layer} (width ` +
      `${step.taken.width}) in stage ${step.stage}; the journal is of another search (start again with --overwrite)`,
  );
}
