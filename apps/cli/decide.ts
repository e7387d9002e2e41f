import {
  type LayerSpec,
  PlanError,
  prunedSpec,
  type PrunePlan,
  pruningRatio,
  type RunFlags,
  UnreachableTargetError,
} from "@lopper/core";
import {
  type CalibrationSet,
  ResidentScorer,
  type Scorer,
  shuffled,
  SuffixScorer,
} from "@lopper/importance";
import { fromPublishedConfig, type Model, parsePlanFile } from "@lopper/model-io";
import { Decoder, type ResidentDecoder, type UnitOrder } from "@lopper/runtime";
import {
  competition,
  exhaustive,
  greedySearch,
  largestReachableRatio,
  multiPruner,
  type Picker,
  planFromLayers,
  Race,
  type SearchEvent,
  type SearchPolicy,
  type Step,
} from "@lopper/search";
import { distribution } from "./options.ts";
import { userPath } from "./paths.ts";
import type { RunFolder } from "./run_folder.ts";

/** What to keep of a model, and what it took to decide. */
export interface Decision {
  readonly plan: PrunePlan;
  readonly layers: readonly LayerSpec[];
  /** Published ratio in per cent. */
  readonly ratio: number;
  readonly steps: readonly Step[];
}

/**
 * The policy that the flags describe.
 * @throws {UnreachableTargetError} before any work, when no order of steps reaches the ratio.
 */
export function policyOf(model: Model, flags: RunFlags): SearchPolicy {
  const shares = distribution(flags.distribution);
  const policy = shares === "auto"
    ? competition(model.spec, flags)
    : multiPruner(model.spec, { ...flags, distribution: shares });
  const reachable = largestReachableRatio(model.spec, policy);
  if (reachable < flags.ratio && !flags.bestEffort && flags.earlierRatios.length === 0) {
    throw new UnreachableTargetError(
      flags.ratio,
      reachable,
      `what may go with --distribution ${flags.distribution}, --mlp-group ${flags.mlpGroup} and ` +
        `--attention-group ${flags.attentionGroup} is not enough`,
    );
  }
  return policy;
}

/** The first round of a race is this share of the sequences. */
const FIRST_ROUND = 1 / 8;

/** The scorer of one kind of samples for the search that the flags ask for. */
export function openScorer(
  decoder: Decoder | ResidentDecoder,
  set: CalibrationSet,
  flags: RunFlags,
  cacheBytes: number,
): Scorer {
  const { batchTokens } = flags;
  const tokens = set.sequences.length * set.length;
  const batches = flags.search === "exhaustive" ? { batchTokens } : {
    batchTokens: Math.min(batchTokens, Math.ceil(tokens * FIRST_ROUND)),
    order: shuffled(set.sequences.length, flags.seed),
  };
  return decoder instanceof Decoder
    ? new SuffixScorer(decoder, set, { cacheBytes, ...batches })
    : new ResidentScorer(decoder, set, batches);
}

/** The way in which the flags ask for steps to be decided. */
export function pickerOf(flags: RunFlags): Picker {
  if (flags.search === "exhaustive") return exhaustive;
  const off = flags.fastWithout.split(",");
  const on = (name: string) => !off.includes(name);
  return new Race({ racing: on("racing"), lazy: on("lazy"), proxies: on("proxies") });
}

export interface SearchRun {
  readonly model: Model;
  readonly modelDigest: string;
  readonly flags: RunFlags;
  readonly policy: SearchPolicy;
  readonly order: UnitOrder;
  /** What the scorers run on. */
  readonly decoder: Decoder | ResidentDecoder;
  readonly scorers: { readonly block: Scorer; readonly width: Scorer };
  readonly folder: RunFolder;
  readonly onEvent: (event: SearchEvent) => void;
  /** Throws when the user wants to stop. */
  readonly check: () => void;
}

/** Searches, with everything that was found out in the journal before the search goes on. */
export async function search(run: SearchRun): Promise<Decision> {
  const { model, folder, order, decoder } = run;
  const events = greedySearch(model.spec, run.policy, {
    scorers: run.scorers,
    picker: pickerOf(run.flags),
    withoutReuse: run.flags.fastWithout.split(",").includes("reuse"),
    blockTokens: () => decoder.blockTokens,
    now: () => performance.now(),
    history: folder.history,
    bestEffort: run.flags.bestEffort,
  });
  let event = await events.next();
  while (!event.done) {
    if (event.value.type === "evidence") await folder.append(event.value.evidence);
    else if (event.value.type === "step" && !event.value.resumed) {
      await folder.append(event.value.step);
    }
    run.onEvent(event.value);
    run.check();
    event = await events.next();
  }
  const result = event.value;
  const { removalOrder } = result;
  const plan = planFromLayers(result.layers, order, { modelDigest: run.modelDigest, removalOrder });
  return { ...result, plan };
}

/**
 * The decision that a plan file holds.
 * @throws {PlanError} when it belongs to another checkpoint or does not fit this one.
 */
export async function decisionFromFile(
  path: string,
  model: Model,
  modelDigest: string,
  order: UnitOrder,
): Promise<Decision> {
  const file = userPath(path);
  let text;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new PlanError(`${file}: there is no such file`, { cause: error });
    }
    throw error;
  }
  const parsed = parsePlanFile(text, file);
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
  const { layers } = prunedSpec(model.spec, plan);
  return { plan, layers, ratio: pruningRatio(model.spec, layers), steps: [] };
}
