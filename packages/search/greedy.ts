import {
  type BlockRef,
  type LayerSpec,
  LopperError,
  type ModelSpec,
  pruningRatio,
  reduction,
  ResumeError,
  UnreachableTargetError,
} from "@lopper/core";
import type { Scorer } from "@lopper/importance";
import type { Arrangement, Arranger } from "./arrange.ts";
import { blockOf, type Candidate, type CandidateName, nameOf, removedBlocks } from "./candidate.ts";
import { orderFault } from "./check_order.ts";
import { type Cost, costBetween } from "./cost.ts";
import { Gauge, type Measure } from "./gauge.ts";
import type { Picker } from "./picker.ts";
import type { SampleKind, SearchPolicy, Stage } from "./policy.ts";
import { expectedSteps, expectedTokens } from "./reach.ts";
import type { RepairLine } from "./repair_line.ts";
import { type Evidence, type SequenceNll, StepScores } from "./scores.ts";
import { type SwapEvent, swapSearch } from "./swap.ts";
import { keptSwaps, type SwapLine } from "./swap_line.ts";
import { lastShapes, removalsAfter } from "./swap_pairs.ts";

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

/** What a journal holds: the steps, and what was found out in them and in the one that was cut off. */
export interface History {
  readonly steps: readonly Step[];
  readonly evidence: readonly Evidence[];
  readonly measures: readonly Measure[];
  /** Orders that stages began with. */
  readonly arrangements: readonly Arrangement[];
  /** What was tried to repair what a search left. */
  readonly repairs: readonly RepairLine[];
  /** Swaps that were tried when a target was reached. */
  readonly swaps: readonly SwapLine[];
}

export type SearchEvent =
  /** To be recorded, unless it was resumed, before the search goes on. */
  | { readonly type: "order"; readonly arrangement: Arrangement; readonly resumed: boolean }
  | SwapEvent
  | { readonly type: "step"; readonly step: Step; readonly resumed: boolean }
  /** To be recorded before the search goes on. */
  | { readonly type: "evidence"; readonly evidence: Evidence }
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
  readonly measures: readonly Measure[];
  /** Each follows the steps that it names, and is followed by the others. */
  readonly swaps: readonly SwapLine[];
  /** The step at which perplexity rose too far, and by what share; it is not among the steps. */
  readonly beyond: { readonly step: Step; readonly increase: number } | null;
}

export interface SearchOptions {
  readonly scorers: Readonly<Record<SampleKind, Scorer>>;
  readonly picker: Picker;
  /** Block-tokens spent so far, of everything that runs. */
  readonly blockTokens: () => number;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** What an earlier run found out; it is believed, and not scored again. */
  readonly history?: History;
  /** End where the candidates end instead of failing below the target. */
  readonly bestEffort?: boolean;
  /** Scores text that decides nothing: the dense model, and what every step leaves, are measured on it. */
  readonly heldOut?: Scorer;
  /**
   * End before the step that raises perplexity by more than this share of the dense model's: on the held-out text where
   * there is one, else on the samples of the step's stage.
   */
  readonly maxIncrease?: number;
  /** Hears of work inside a measure, between two batches; may throw to stop. */
  readonly onMeasuring?: () => void;
  /** Decides the order of units when a stage begins that narrows blocks; without it, they stay as they lie. */
  readonly arranger?: Arranger;
  /** Forget block inputs after every step: what trunk reuse saves can be measured so. */
  readonly withoutReuse?: boolean;
  /** Swap single blocks and groups whenever a target is reached, where the policy says what may be exchanged. */
  readonly swap?: {
    /** Text on which no swap may raise the loss; null where none is kept aside. */
    readonly aside: Scorer | null;
  };
}

/**
 * The one greedy loop: at each step the picker takes one of the candidates of the policy's stage. A stage without
 * candidates ends with a warning, and the next goes on. An earlier run is resumed by deciding everything again from what
 * it recorded, so that a run that was cut off and one that was not cannot differ.
 * @throws {UnreachableTargetError} when the candidates end below the target, unless `bestEffort`.
 * @throws {ResumeError} when `history` is not of this search.
 */
export async function* greedySearch(
  spec: ModelSpec,
  policy: SearchPolicy,
  options: SearchOptions,
): AsyncGenerator<SearchEvent, SearchResult> {
  const { scorers, picker } = options;
  const { resource } = policy;
  const history = options.history ??
    { steps: [], evidence: [], measures: [], arrangements: [], repairs: [], swaps: [] };
  const evidence = Map.groupBy(history.evidence, ({ step }) => step);
  const measure = (): Cost => ({
    blockTokens: options.blockTokens(),
    seconds: options.now() / 1000,
  });
  const steps: Step[] = [];
  const swaps: SwapLine[] = [];
  let removalOrder: readonly BlockRef[] = [];
  let layers = spec.layers;
  let last = spec.layers;
  /** Per cent of the resource that are saved. */
  const saved = () => reduction(resource, spec.layers, layers);
  let workDone = 0;
  let trunkNll: SequenceNll | null = null;
  let lastStage: Stage | null = null;
  const measures: Measure[] = [];
  /** The last order of each kind of units. */
  const applied = new Map<Arrangement["units"], Arrangement>();
  let beyond: SearchResult["beyond"] = null;
  const gauge = new Gauge({
    scorers,
    heldOut: options.heldOut,
    maxIncrease: options.maxIncrease,
    dense: spec.layers,
    recorded: history.measures,
    measure,
    onWork: options.onMeasuring,
  });
  for await (const event of gauge.start()) {
    measures.push(event.measure);
    yield event;
  }

  search: for (const [stageNumber, stage] of policy.stages.entries()) {
    const scorer = scorers[stage.samples];
    if (lastStage && lastStage.samples !== stage.samples) {
      scorers[lastStage.samples].release();
      trunkNll = null;
    }
    let firstOfStage = true;
    while (saved() < stage.bound) {
      const candidates = stage.candidates(layers, stage.bound);
      if (candidates.length === 0) {
        if (stage.endsShort) break;
        yield {
          type: "warning",
          message: `stage ${stage.name} has no candidates left at ${saved().toFixed(2)} % ` +
            `${resource.name === "latency" ? "of the predicted time " : ""}` +
            `(its share ends at ${stage.bound.toFixed(2)} %)`,
        };
        break;
      }
      if (firstOfStage && options.arranger) {
        const { arranger } = options;
        const percent = stage.bound - saved();
        const arrangements: Arrangement[] = [];
        // All of them before any is applied: what one order finds out about the model serves the next, and where a run is cut
        // off between two of them makes no difference.
        for (const units of stage.narrows) {
          const known = history.arrangements.find((line) =>
            line.stage === stageNumber && line.units === units
          );
          const fault = known && orderFault(spec, layers, known, applied.get(units) ?? null);
          if (fault) {
            throw new ResumeError(
              `the journal's order of ${units} for stage ${stageNumber} is not of this search: ${fault}`,
            );
          }
          // Streams of now will differ from those of the new order by rounding, a resumed run has none, and an order may need
          // their memory.
          for (const other of Object.values(scorers)) other.release();
          const request = { units, layers, percent, resource };
          const arrangement: Arrangement = known ?? {
            type: "order",
            stage: stageNumber,
            units,
            ...await withCost(() => arranger.arrange(request), measure),
          };
          arrangements.push(arrangement);
          yield { type: "order", arrangement, resumed: known !== undefined };
        }
        for (const arrangement of arrangements) {
          await arranger.apply(arrangement);
          applied.set(arrangement.units, arrangement);
        }
      }
      const number = steps.length;
      const ratio = pruningRatio(spec, layers);
      // Candidate-tokens from here to the target.
      const left = expectedTokens(expectedSteps(spec, policy, layers), picker, scorers);
      const scores: StepScores = new StepScores({
        step: number,
        trunk: layers,
        candidates,
        scorer,
        weights: stage.weight && candidates.map((c) => stage.weight!(c, layers)),
        trunkNll,
        recorded: evidence.get(number) ?? [],
        measure,
      });
      let stepWork = 0;
      const picking = picker.pick(scores, firstOfStage);
      let update = await picking.next();
      for (; !update.done; update = await picking.next()) {
        if (update.value.type !== "tokens") {
          yield { type: "evidence", evidence: update.value };
          continue;
        }
        stepWork += update.value.tokens;
        const done = workDone + stepWork;
        yield {
          type: "progress",
          stage: stage.name,
          ratio,
          done,
          total: Math.max(done, workDone + left),
        };
      }
      workDone += stepWork;
      if (update.value < 0) {
        throw new LopperError(
          `stage ${stage.name}: no candidate has a finite perplexity; the model's activations overflow on this text`,
        );
      }
      const taken = candidates[update.value];
      const step = describe(spec, policy, stage, taken, scores, number, update.value);
      const recorded = history.steps[number];
      if (recorded) checkSameDecision(recorded, step);
      yield { type: "step", step: recorded ?? step, resumed: recorded !== undefined };
      const gauging = gauge.after(number + 1, taken.layers, stage.samples, step.ppl);
      let measured = await gauging.next();
      for (; !measured.done; measured = await gauging.next()) {
        measures.push(measured.value.measure);
        yield measured.value;
      }
      if (gauge.exceeds(measured.value)) {
        beyond = { step: recorded ?? step, increase: measured.value };
        break search;
      }
      layers = taken.layers;
      last = lastShapes(layers, last);
      trunkNll = scores.nll(update.value);
      lastStage = stage;
      firstOfStage = false;
      if (options.withoutReuse) scorer.release();
      removalOrder = [...removalOrder, ...removedBlocks(nameOf(taken))];
      steps.push(recorded ?? step);
    }
    // A target that an earlier one went beyond already has nothing new to swap.
    const isNew = steps.length > (swaps.at(-1)?.steps ?? 0);
    if (!options.swap || !stage.exchange || !isNew) continue;
    for (const scorer of Object.values(scorers)) scorer.release();
    const swapping = swapSearch(spec, { layers, last, steps: steps.length }, {
      ...stage.exchange,
      target: Math.min(stage.exchange.target, pruningRatio(spec, layers)),
    }, {
      scorer: scorers.block,
      aside: options.swap.aside,
      recorded: history.swaps,
      measure,
      onWork: options.onMeasuring,
      gauge: async function* (swap, layers) {
        const gauging = gauge.afterSwap(steps.length, swap, layers);
        return !gauge.exceeds(yield* gauging);
      },
    });
    let swapped = await swapping.next();
    for (; !swapped.done; swapped = await swapping.next()) {
      if (swapped.value.type === "measure") measures.push(swapped.value.measure);
      yield swapped.value;
    }
    ({ layers, last } = swapped.value);
    for (const { restored, removed } of keptSwaps(swapped.value.lines)) {
      const went = removed && { ...blockOf(removed), width: removed.width };
      removalOrder = removalsAfter(removalOrder, blockOf(restored), went);
    }
    swaps.push(...swapped.value.lines);
    trunkNll = null;
  }
  for (const scorer of Object.values(scorers)) scorer.release();
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
  if (saved() < policy.target && !beyond && !options.bestEffort) {
    throw new UnreachableTargetError(
      policy.target,
      saved(),
      "no candidates are left",
      resource.name === "latency" ? resource.amount(spec.layers) : undefined,
    );
  }
  const ratio = pruningRatio(spec, layers);
  return { layers, ratio, removalOrder, steps, measures, swaps, beyond };
}

function describe(
  spec: ModelSpec,
  { resource }: SearchPolicy,
  stage: Stage,
  taken: Candidate,
  scores: StepScores,
  step: number,
  index: number,
): Step {
  const { candidates, scorer, cost } = scores;
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

/** What some work found out, and what it cost. */
async function withCost<T>(
  work: () => Promise<T>,
  measure: () => Cost,
): Promise<T & { cost: Cost }> {
  const before = measure();
  const result = await work();
  return { ...result, cost: costBetween(before, measure()) };
}

function checkSameDecision(recorded: Step, step: Step) {
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
