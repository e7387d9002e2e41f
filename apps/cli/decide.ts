import {
  type EarlyStop,
  type FrontierStep,
  latencyOf,
  type LatencyTable,
  type LayerSpec,
  LopperError,
  PlanError,
  prunedSpec,
  type PrunePlan,
  pruningRatio,
  type RunFlags,
  type RunRecord,
  type StageOrder,
  type SwapPhase,
  UnreachableTargetError,
  UsageError,
} from "@lopper/core";
import {
  type CalibrationSet,
  perplexity,
  ResidentScorer,
  type Scorer,
  SuffixScorer,
} from "@lopper/importance";
import { fromPublishedConfig, INPUTS, type Model, parsePlanFile } from "@lopper/model-io";
import { readInput } from "@lopper/model-io/files";
import { Decoder, type LaidOutWeights, ResidentDecoder, type UnitOrder } from "@lopper/runtime";
import {
  ActivationArranger,
  type ActivationArrangerOptions,
  type Arrangement,
  competition,
  exhaustive,
  greedySearch,
  largestReachableRatio,
  multiPruner,
  type Picker,
  planFromLayers,
  Race,
  raceBatches,
  type SearchEvent,
  type SearchPolicy,
  type SearchResult,
  uniformCompetition,
  uniformPruner,
  wayOf,
} from "@lopper/search";
import { distribution } from "./options.ts";
import { userPath } from "./paths.ts";
import { about, checkRunOf, planOfRun } from "./plan_of_run.ts";
import type { RunFolder } from "./run_folder.ts";

/** What to keep of a model, and what it took to decide. */
export interface Decision {
  readonly plan: PrunePlan;
  readonly layers: readonly LayerSpec[];
  /** Published ratio in per cent. */
  readonly ratio: number;
  /** The steps that led there; none where a plan file says what stays. */
  readonly frontier: readonly FrontierStep[];
  /** The swaps between these steps and after them. */
  readonly swaps: readonly SwapPhase[];
  readonly stopped: EarlyStop | null;
  readonly orders: readonly StageOrder[];
  /** Block-tokens of the search, and what full forward passes for the same candidates would have cost. */
  readonly blockTokens: Pick<RunRecord["blockTokens"], "spent" | "full">;
}

/**
 * The policy that the flags describe.
 * @param latencies what predicts the time that is to be saved, or null where parameters are.
 * @throws {UnreachableTargetError} before any search, when no order of steps reaches the target.
 */
export function policyOf(
  model: Model,
  flags: RunFlags,
  latencies: LatencyTable | null,
): SearchPolicy {
  const shares = distribution(flags.distribution);
  const [staged, competing] = flags.uniform
    ? [uniformPruner, uniformCompetition]
    : [multiPruner, competition];
  const options = latencies ? { ...flags, resource: latencyOf(latencies) } : flags;
  const policy = shares === "auto"
    ? competing(model.spec, options)
    : staged(model.spec, { ...options, distribution: shares });
  const reachable = largestReachableRatio(model.spec, policy);
  if (reachable < flags.ratio && !flags.bestEffort && flags.earlierRatios.length === 0) {
    throw new UnreachableTargetError(
      flags.ratio,
      reachable,
      `what may go with --distribution ${flags.distribution}, --mlp-group ${flags.mlpGroup} and ` +
        `--attention-group ${flags.attentionGroup} is not enough`,
      latencies ? policy.resource.amount(model.spec.layers) : undefined,
    );
  }
  return policy;
}

/** Whether candidates and repairs are judged by what the dense model says of the text. */
export function againstDense({ criterion }: RunFlags): boolean {
  return criterion === "kl";
}

/**
 * The scorer of one kind of samples for the search that the flags ask for; `dense` runs the model as it is in the checkpoint.
 */
export function openScorer(
  decoder: Decoder | ResidentDecoder,
  set: CalibrationSet,
  flags: RunFlags,
  { cacheBytes, dense }: { readonly cacheBytes: number; readonly dense: Decoder },
): SuffixScorer | ResidentScorer {
  const { batchTokens } = flags;
  const options = {
    ...(flags.search === "exhaustive"
      ? { batchTokens }
      : raceBatches(set, batchTokens, flags.seed)),
    ...(againstDense(flags) && { dense }),
  };
  return decoder instanceof Decoder
    ? new SuffixScorer(decoder, set, { cacheBytes, ...options })
    : new ResidentScorer(decoder, set, options);
}

/** The way in which the flags ask for steps to be decided. */
export function pickerOf(flags: RunFlags): Picker {
  if (flags.search === "exhaustive") return exhaustive;
  const off = flags.fastWithout.split(",");
  const on = (name: string) => !off.includes(name);
  return new Race({
    racing: on("racing"),
    lazy: on("lazy"),
    proxies: on("proxies"),
    threshold: on("threshold"),
  });
}

export interface SearchRun {
  readonly model: Model;
  readonly modelDigest: string;
  readonly flags: RunFlags;
  readonly policy: SearchPolicy;
  /** The weights, in the order in which they lie. */
  readonly weights: LaidOutWeights;
  readonly arranger: ActivationArranger | undefined;
  /** What the scorers run on. */
  readonly decoder: Decoder | ResidentDecoder;
  readonly scorers: { readonly block: Scorer; readonly width: Scorer };
  /** What every step is measured on, where that is asked for. */
  readonly heldOut: CalibrationSet | null;
  /** Calibration text that is kept aside from the search. */
  readonly aside: CalibrationSet | null;
  readonly folder: RunFolder;
  readonly onEvent: (event: SearchEvent) => void;
  /** Throws when the user wants to stop. */
  readonly check: () => void;
}

/**
 * Searches, with everything that was found out in the journal before the search goes on.
 * @throws {LopperError} when not even one step stays within --max-ppl-increase.
 */
export async function search(run: SearchRun): Promise<Decision> {
  const { model, folder, weights, decoder, flags, heldOut, aside } = run;
  const arrangements: Arrangement[] = [];
  const orders: UnitOrder[] = [];
  const events = greedySearch(model.spec, run.policy, {
    scorers: run.scorers,
    picker: pickerOf(run.flags),
    withoutReuse: run.flags.fastWithout.split(",").includes("reuse"),
    blockTokens: () => decoder.blockTokens,
    now: () => performance.now(),
    history: folder.history,
    bestEffort: run.flags.bestEffort,
    heldOut: heldOut ? scorerOnce(decoder, heldOut, flags) : undefined,
    maxIncrease: flags.maxPplIncrease === null ? undefined : flags.maxPplIncrease / 100,
    onMeasuring: run.check,
    arranger: run.arranger,
    swap: flags.swap === "none" ? undefined : { aside: aside && scorerOnce(decoder, aside, flags) },
  });
  let event = await events.next();
  while (!event.done) {
    if (event.value.type === "evidence") await folder.append(event.value.evidence);
    else if (event.value.type === "step" && !event.value.resumed) {
      await folder.append(event.value.step);
    } else if (event.value.type === "measure" && !event.value.resumed) {
      await folder.append(event.value.measure);
    }
    if (event.value.type === "swap" && !event.value.resumed) await folder.append(event.value.line);
    if (event.value.type === "step") orders.push(weights.order);
    if (event.value.type === "order") {
      arrangements.push(event.value.arrangement);
      if (!event.value.resumed) await folder.append(event.value.arrangement);
    }
    run.onEvent(event.value);
    run.check();
    event = await events.next();
  }
  const result = event.value;
  const { removalOrder } = result;
  // Units that went lie behind those that stayed, in the place that they had when they went.
  const { order } = weights;
  const plan = planFromLayers(result.layers, order, { modelDigest: run.modelDigest, removalOrder });
  const stopped = earlyStop(result, flags);
  if (stopped && result.steps.length === 0) {
    throw new LopperError(
      `--max-ppl-increase ${stopped.limit}% allows no step: the first raises perplexity on the ${stopped.on} text by ` +
        `${stopped.increase?.toFixed(1) ?? "more than a number can say"} %`,
    );
  }
  const scored = result.beyond ? [...result.steps, result.beyond.step] : result.steps;
  return {
    plan,
    layers: result.layers,
    ratio: result.ratio,
    ...wayOf(model.spec, result, (steps) => orders[steps - 1]),
    stopped,
    orders: arrangements.map(({ units, chosen, tried }) => ({
      units,
      order: chosen,
      tried: Object.fromEntries(tried.map(({ order, nll }) => {
        const value = perplexity(nll);
        return [order, Number.isFinite(value) ? value : null];
      })),
    })),
    blockTokens: {
      spent: scored.reduce((sum, { blockTokens }) => sum + blockTokens.spent, 0),
      full: scored.reduce((sum, { blockTokens }) => sum + blockTokens.full, 0),
    },
  };
}

/** The arranger that the flags ask for; the published order needs none. */
export function arrangerOf(
  flags: RunFlags,
  decoder: Decoder,
  searching: Decoder | ResidentDecoder,
  texts: { readonly text: CalibrationSet; readonly aside: CalibrationSet | null },
  onProgress: ActivationArrangerOptions["onProgress"],
): ActivationArranger | undefined {
  const { order, batchTokens } = flags;
  if (order === "l1") return undefined;
  return new ActivationArranger({
    decoder,
    order: order as ActivationArrangerOptions["order"],
    published: decoder.weights.order,
    text: texts.text,
    aside: texts.aside && new SuffixScorer(decoder, texts.aside, { cacheBytes: 0, batchTokens }),
    batchTokens,
    onProgress,
    onArranged: async () => {
      if (searching instanceof ResidentDecoder) await searching.reload(decoder.weights);
    },
  });
}

/** Scores whole models, one after the other, and keeps nothing of them. */
export function scorerOnce(
  decoder: Decoder | ResidentDecoder,
  set: CalibrationSet,
  { batchTokens }: Pick<RunFlags, "batchTokens">,
): Scorer {
  return decoder instanceof Decoder
    ? new SuffixScorer(decoder, set, { cacheBytes: 0, batchTokens })
    : new ResidentScorer(decoder, set, { batchTokens });
}

function earlyStop({ beyond }: SearchResult, flags: RunFlags): EarlyStop | null {
  if (!beyond) return null;
  const increase = beyond.increase * 100;
  return {
    limit: flags.maxPplIncrease!,
    on: flags.heldOut === null ? "calibration" : "held-out",
    increase: Number.isFinite(increase) ? increase : null,
    ratio: beyond.step.ratio,
  };
}

/**
 * The decision that a plan file holds, or a run's folder.
 * @param ratio for a folder: the ratio in per cent up to which its steps are taken, or undefined for all of them.
 * @throws {PlanError} when it belongs to another checkpoint or does not fit this one.
 */
export async function decisionFromFile(
  path: string,
  model: Model,
  modelDigest: string,
  order: UnitOrder,
  ratio: number | undefined,
): Promise<Decision> {
  const file = userPath(path);
  const decided = { stopped: null, orders: [], blockTokens: { spent: 0, full: 0 } };
  if ((await Deno.stat(file).catch(() => null))?.isDirectory) {
    const part = await planOfRun(file, ratio, model.spec, modelDigest);
    const { layers } = about(file, () => prunedSpec(model.spec, part.plan));
    return { ...decided, ...part, layers, ratio: pruningRatio(model.spec, layers) };
  }
  if (ratio !== undefined) {
    throw new UsageError(
      `--ratio picks a part of a run's folder, and --plan ${path} is a file; leave out --ratio, or pass the folder`,
    );
  }
  const parsed = parsePlanFile(await readInput(file, INPUTS.plan), file);
  let plan: PrunePlan;
  if (parsed.kind === "published") {
    const { config } = parsed;
    const removalOrder = [
      ...config.pruned_attn_idx.map((layer) => ({ layer, kind: "attention" as const })),
      ...config.pruned_mlp_idx.map((layer) => ({ layer, kind: "mlp" as const })),
    ];
    const layers = fromPublishedConfig(model.spec, config, file);
    plan = planFromLayers(layers, order, { modelDigest, removalOrder });
  } else {
    plan = parsed.plan;
    if (plan.modelDigest !== modelDigest) {
      throw new PlanError(
        `${file}: the plan belongs to the checkpoint ${plan.modelDigest} and this one is ${modelDigest}`,
      );
    }
  }
  const { layers } = about(file, () => prunedSpec(model.spec, plan));
  await checkRunOf(file, plan);
  return {
    ...decided,
    plan,
    layers,
    ratio: pruningRatio(model.spec, layers),
    frontier: [],
    swaps: [],
  };
}
