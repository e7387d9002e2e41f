import { ResumeError } from "@lopper/core";
import type { SearchPolicy, Stage } from "./policy.ts";
import { savedBy } from "./saved.ts";
import type { StepScores } from "./scores.ts";
import type { SearchModel } from "./search_model.ts";
import type { Step } from "./journal_lines.ts";

/** The step that takes one of the candidates that were scored. @param index of the taken one. */
export function stepOf(
  { blocks, parameters }: SearchModel,
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
    taken: { key: taken.key, changes: taken.changes },
    ppl: scores.perplexity(index),
    ratio: savedBy(parameters, blocks, taken.shape),
    ...(resource.name === "latency" && { latency: resource.amount(taken.shape) }),
    candidates: candidates.map((c, i) => ({
      key: c.key,
      ppl: scores.perplexity(i),
      sequences: scores.count(i),
    })),
    blockTokens: {
      spent: cost.blockTokens,
      full: candidates.reduce((sum, c) => sum + scorer.fullCost(c.shape), 0),
    },
    seconds: cost.seconds,
  };
}

/**
 * @throws {ResumeError} when a step of an earlier run is not the one that its scores decide for.
 */
export function checkSameDecision(recorded: Step, step: Step) {
  const same = recorded.step === step.step && recorded.stage === step.stage &&
    JSON.stringify(recorded.taken) === JSON.stringify(step.taken);
  if (same) return;
  const [before, now] = [recorded.taken.key, step.taken.key];
  throw new ResumeError(
    `step ${step.step} of the journal takes ${before} in stage ${recorded.stage}, and what it recorded of that step ` +
      `decides for ${now} in stage ${step.stage}${before === now ? " and for other units" : ""}; ` +
      "the journal is of another search (start again with --overwrite)",
  );
}
