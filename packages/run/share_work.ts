import type { Backend } from "@lopper/backends";
import { type Architecture, type Ranking, type Shape, VERSION } from "@lopper/core";
import {
  type BatchOptions,
  type CalibrationSet,
  criterionOf,
  DEFAULT_BATCH_TOKENS,
  PUBLISHED_RANKING,
  rankByWeights,
  rankingsOf,
  ResidentScorer,
  type SeenActivations,
  SuffixScorer,
  tokenCount,
} from "@lopper/importance";
import type { Model } from "@lopper/models";
import { Decoder, LaidOutWeights, weightMemory } from "@lopper/runtime";
import {
  type JobWorker,
  ModelWorker,
  type Named,
  readWork,
  sharedActivations,
  SharedScorer,
  Work,
  WorkError,
  type WorkQueue,
  type WorkSet,
  type WorkSetup,
} from "@lopper/workers";
import { planMemory, predictionsOf } from "./memory.ts";
import { batchesOf, searchingOn } from "./search_tools.ts";
import { measuresSteps } from "./options/held_out_text.ts";
import type { RunFlags } from "./schemas/flags.ts";
import type { RunSettings } from "./schemas/settings.ts";
import type { RunTexts } from "./texts.ts";

/** Texts whose scoring is shared out. */
type SharedText = "block" | "width" | "heldOut" | "validation";

/** The work of a run that others do, and what they score. */
export interface SharedWork {
  readonly work: Work;
  /** Scores one of the texts. */
  readonly scorer: (text: SharedText) => SharedScorer;
  /** Passes over the text that rankings learn from; see `seenActivations`. */
  readonly pass: (shape: Shape, onProgress: (tokensDone: number) => void) => Promise<
    SeenActivations
  >;
}

/**
 * Says in a queue what the work of a run depends on.
 * @param decoder whose weights lie in the published ranking, as workers' do at first.
 */
export function shareWork(
  queue: WorkQueue,
  decoder: Decoder,
  texts: RunTexts,
  { flags, modelDigest, backend }: RunSettings,
): SharedWork {
  const sets = setsOf(texts, flags, decoder.architecture);
  const criterion = criterionOf(flags.criterion).name as WorkSetup["criterion"];
  const work = new Work(
    queue,
    { kind: "lopper-work", version: VERSION, modelDigest, backend, criterion, sets },
    decoder.weights.ranking,
  );
  const shared = (name: string) => ({
    ...{ name, set: sets[name], architecture: decoder.architecture },
    ranking: () => decoder.weights.ranking,
  });
  return {
    work,
    scorer: (name) => new SharedScorer(work, shared(name)),
    pass: (shape, onProgress) => sharedActivations(work, shared("extended"), shape, onProgress),
  };
}

function setsOf(
  texts: RunTexts,
  flags: RunFlags,
  architecture: Architecture,
): Readonly<Record<string, WorkSet>> {
  const { batchTokens } = flags;
  const judged = (set: CalibrationSet) => workSet(set, batchesOf(set, flags, architecture), true);
  const once = (set: CalibrationSet) => workSet(set, { batchTokens }, false);
  return {
    block: judged(texts.block),
    width: judged(texts.width),
    ...(measuresSteps(flags) && { heldOut: once(texts.heldOut) }),
    ...(texts.validation && { validation: once(texts.validation) }),
    ...(learnsFromActivations(flags) && { extended: once(texts.extended) }),
  };
}

/** Whether a ranking is one by activations. */
function learnsFromActivations({ ranking }: RunFlags): boolean {
  return rankingsOf(ranking).some(({ needs }) => needs === "activations" || needs === "routing");
}

function workSet(
  { sequences, length, ignoredLabel, digest }: CalibrationSet,
  { batchTokens = DEFAULT_BATCH_TOKENS, order = sequences.map((_, i) => i) }: BatchOptions,
  judged: boolean,
): WorkSet {
  return { sequences, length, ignoredLabel, digest, batchTokens, order, judged };
}

/** A worker for one run, with the model in memory. */
export type OpenWorker = JobWorker & AsyncDisposable;

/**
 * Loads a model for the work of a run.
 * @param setup what the queue says of the run.
 * @param modelDigest of the model.
 * @throws {WorkError} when the run is of another model, version or backend: that would compute
 *   other numbers.
 * @throws {InsufficientMemoryError} when the model does not fit.
 */
export async function openWorker(
  model: Model,
  modelDigest: string,
  setup: Named,
  tools: { readonly backend: Backend; readonly memory: () => number },
): Promise<OpenWorker> {
  const { backend } = tools;
  const run = readWork("setup", setup.text);
  checkSame(run, modelDigest, backend);
  const sets = Object.entries(run.sets);
  const criterion = criterionOf(run.criterion);
  const tokens = Math.max(...sets.map(([, set]) => set.judged ? tokenCount(set) : 0));
  const memory = planMemory({
    architecture: model.architecture,
    weights: weightMemory(model),
    length: Math.max(...sets.map(([, { length }]) => length)),
    tokens,
    batchTokens: Math.max(...sets.map(([, { batchTokens }]) => batchTokens)),
    // Batches decide.
    fixed: true,
    backend: backend.description,
    alongside: criterion.needs === "predictions" ? [predictionsOf(tokens)] : [],
  }, tools.memory());
  const ranking: Ranking = await rankByWeights(model, PUBLISHED_RANKING);
  const weights = await LaidOutWeights.load(model, { ranking, ...memory });
  const decoder = new Decoder(backend, weights);
  const searching = searchingOn(decoder);
  const texts = new Map(sets.map(([name, set]) => {
    const { batchTokens, order, judged } = set;
    const options = { batchTokens, order, ...(judged && { judge: { criterion, dense: decoder } }) };
    const scorer = searching instanceof Decoder
      ? new SuffixScorer(searching, set, { ...options, cacheBytes: judged ? memory.cacheBytes : 0 })
      : new ResidentScorer(searching, set, options);
    return [name, { set, scorer }];
  }));
  const worker = new ModelWorker({ run: setup.name, decoder, searching, texts });
  return {
    work: (job, kept) => worker.work(job, kept),
    async [Symbol.asyncDispose]() {
      if (searching !== decoder) await searching.dispose();
      await decoder.dispose();
    },
  };
}

function checkSame(run: WorkSetup, modelDigest: string, backend: Backend) {
  const differences = [
    ["model", run.modelDigest, modelDigest],
    ["version of Lopper", run.version, VERSION],
    ["backend", run.backend, backend.description.name],
  ].filter(([, asked, here]) => asked !== here);
  if (differences.length === 0) return;
  const [what, asked, here] = differences[0];
  throw new WorkError(`the run needs ${what} ${asked}, and here is ${here}`);
}
