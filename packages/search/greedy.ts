import {
  type BlockRef,
  type LayerSpec,
  LopperError,
  type ModelSpec,
  pruningRatio,
  ResumeError,
  UnreachableTargetError,
} from "@lopper/core";
import type { Scorer } from "@lopper/importance";
import type { Candidate, CandidateKind } from "./candidate.ts";
import type { SampleKind, SearchPolicy, Stage } from "./policy.ts";
import { rehearse } from "./reach.ts";

/** A taken candidate with everything that decided it: one line of the journal. */
export interface Step {
  readonly step: number;
  readonly stage: Stage["name"];
  readonly taken: CandidateName;
  /** Perplexity of the taken candidate on the stage's samples. */
  readonly ppl: number;
  /** Published pruning ratio after the step, in per cent. */
  readonly ratio: number;
  readonly candidates: readonly (CandidateName & { readonly ppl: number })[];
  readonly blockTokens: { readonly spent: number; readonly full: number };
  readonly seconds: number;
}

export interface CandidateName {
  readonly kind: CandidateKind;
  readonly layer: number;
  readonly width: number;
}

export type SearchEvent =
  | { readonly type: "step"; readonly step: Step; readonly resumed: boolean }
  /** Work in candidate-tokens, an estimate of what is left included. */
  | {
    readonly type: "progress";
    readonly stage: Stage["name"];
    readonly ratio: number;
    readonly done: number;
    readonly total: number;
  }
  | { readonly type: "warning"; readonly message: string };

/** Where a search ends. */
export interface SearchResult {
  readonly layers: readonly LayerSpec[];
  /** Published pruning ratio, in per cent. */
  readonly ratio: number;
  /** Removed blocks, in the order of removal. */
  readonly removalOrder: readonly BlockRef[];
  readonly steps: readonly Step[];
}

export interface SearchOptions {
  readonly scorers: Readonly<Record<SampleKind, Scorer>>;
  /** Block-tokens spent so far, of everything that runs. */
  readonly blockTokens: () => number;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** Steps of an earlier run, taken again without scoring. */
  readonly history?: readonly Step[];
  /** End where the candidates end instead of failing below the target. */
  readonly bestEffort?: boolean;
}

/**
 * The one greedy loop: at each step every candidate of the policy's stage is scored, and the one with the lowest
 * perplexity is taken, the first on equal values. A stage without candidates ends with a warning, and the next goes on.
 * @throws {UnreachableTargetError} when the candidates end below the target, unless `bestEffort`.
 * @throws {ResumeError} when `history` is not of this search.
 */
export async function* greedySearch(
  spec: ModelSpec,
  policy: SearchPolicy,
  options: SearchOptions,
): AsyncGenerator<SearchEvent, SearchResult> {
  const { scorers, history = [] } = options;
  const steps: Step[] = [];
  const removalOrder: BlockRef[] = [];
  let layers = spec.layers;
  let ratio = 0;
  let workDone = 0;

  for (const stage of policy.stages) {
    while (ratio < stage.bound) {
      const candidates = stage.candidates(layers);
      if (candidates.length === 0) {
        yield {
          type: "warning",
          message: `stage ${stage.name} has no candidates left at ${ratio.toFixed(2)} % ` +
            `(its share ends at ${stage.bound.toFixed(2)} %)`,
        };
        break;
      }
      const recorded = history[steps.length];
      let taken: Candidate, step: Step;
      if (recorded) {
        taken = recordedCandidate(recorded, steps.length, stage, candidates);
        step = recorded;
      } else {
        const before = measure(options);
        const scorer = scorers[stage.samples];
        const left = remainingWork(spec, policy, layers, scorers);
        const scoring = scorer.scoreStep(layers, candidates);
        let update = await scoring.next();
        while (!update.done) {
          const done = workDone + update.value.done * scorer.tokens;
          yield { type: "progress", stage: stage.name, ratio, done, total: workDone + left };
          update = await scoring.next();
        }
        workDone += candidates.length * scorer.tokens;
        const perplexities = update.value.map((score) => score.perplexity);
        const best = indexOfLowest(perplexities, stage.name);
        taken = candidates[best];
        const after = measure(options);
        step = {
          step: steps.length,
          stage: stage.name,
          taken: nameOf(taken),
          ppl: perplexities[best],
          ratio: pruningRatio(spec, taken.layers),
          candidates: candidates.map((c, i) => ({ ...nameOf(c), ppl: perplexities[i] })),
          blockTokens: { spent: after.spent - before.spent, full: after.full - before.full },
          seconds: (after.now - before.now) / 1000,
        };
      }
      layers = taken.layers;
      ratio = pruningRatio(spec, layers);
      if (taken.width === 0) removalOrder.push({ layer: taken.layer, kind: taken.kind });
      steps.push(step);
      yield { type: "step", step, resumed: recorded !== undefined };
    }
    // The next stage may score on other samples.
    for (const scorer of Object.values(scorers)) scorer.release();
  }
  if (history.length > steps.length) {
    throw new ResumeError(
      `the journal has ${history.length} steps and this search ends after ${steps.length}; it belongs to another target`,
    );
  }
  if (ratio < policy.target && !options.bestEffort) {
    throw new UnreachableTargetError(policy.target, ratio, "no candidates are left");
  }
  return { layers, ratio, removalOrder, steps };
}

function measure({ scorers, blockTokens, now }: SearchOptions) {
  const full = scorers.block.fullBlockTokens + scorers.width.fullBlockTokens;
  return { spent: blockTokens(), full, now: now() };
}

/** Candidate-tokens from here to the target, by a rehearsal that takes the middle candidate of each step. */
function remainingWork(
  spec: ModelSpec,
  policy: SearchPolicy,
  layers: readonly LayerSpec[],
  scorers: SearchOptions["scorers"],
): number {
  const { steps } = rehearse(
    spec,
    policy,
    layers,
    (candidates) => candidates[Math.floor(candidates.length / 2)],
  );
  return steps.reduce(
    (sum, { samples, candidates }) => sum + candidates * scorers[samples].tokens,
    0,
  );
}

function indexOfLowest(perplexities: readonly number[], stage: string): number {
  let best = -1;
  perplexities.forEach((ppl, i) => {
    if (ppl < (best < 0 ? Infinity : perplexities[best])) best = i;
  });
  if (best < 0) {
    throw new LopperError(
      `stage ${stage}: no candidate has a finite perplexity; the model's activations overflow on this text`,
    );
  }
  return best;
}

function nameOf({ candidateKind, layer, width }: Candidate): CandidateName {
  return { kind: candidateKind, layer, width };
}

function recordedCandidate(
  recorded: Step,
  index: number,
  stage: Stage,
  candidates: readonly Candidate[],
): Candidate {
  const { kind, layer, width } = recorded.taken;
  const found = candidates.find((c) =>
    c.candidateKind === kind && c.layer === layer && c.width === width
  );
  if (recorded.step !== index || recorded.stage !== stage.name || !found) {
    throw new ResumeError(
      `step ${index} of the journal takes ${kind} of layer ${layer} (width ${width}) in stage ${recorded.stage}, ` +
        `which this search cannot take there; start again with --overwrite`,
    );
  }
  return found;
}
