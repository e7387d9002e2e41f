import type { Backend } from "@lopper/backends";
import {
  formatBytes,
  type LatencyTable,
  type Ranking,
  type StopSignal,
  UsageError,
  VERSION,
} from "@lopper/core";
import { criterionOf, PUBLISHED_RANKING, rankByWeights, tokenCount } from "@lopper/importance";
import { type Model, modelDigest } from "@lopper/models";
import {
  Decoder,
  LaidOutWeights,
  type ResidentDecoder,
  weightMemory,
  Workspace,
} from "@lopper/runtime";
import type { Tokenizer } from "@lopper/tokenizers";
import type { SharedScorer, WorkQueue } from "@lopper/workers";
import type { Decision } from "./decision.ts";
import type { RunEvent } from "./events.ts";
import { type MemoryPlan, planMemory, predictionsOf } from "./memory.ts";
import { phase } from "./phase.ts";
import { type LearntTokens, sideWorkOf } from "./side_work.ts";
import { fitsCells, openScorer, searchingOn } from "./search_tools.ts";
import { type SharedWork, shareWork } from "./share_work.ts";
import type { RunStore } from "./store.ts";
import { needsExtended, type RunTexts } from "./texts.ts";
import { measuresSteps } from "./options/held_out_text.ts";
import type { RunFlags } from "./schemas/flags.ts";
import { type RunSettings, SETTINGS_SCHEMA } from "./schemas/settings.ts";

/** What is to be done with a model. */
export interface PruneTask {
  readonly flags: RunFlags;
  /** What predicts the time of a token; null or left out where the target is not a latency. */
  readonly latencies?: LatencyTable | null;
  /** What is applied instead of a search. */
  readonly applied?: AppliedDecision;
  /** `modelDigest` of the model, where that is known already. */
  readonly modelDigest?: string;
  /**
   * For the card of the result; left out, texts have no name, and the model is called as its place
   * is.
   */
  readonly names?: RunNames;
}

/** What people call a model, and the texts of its run. */
export interface RunNames {
  readonly model: string;
  readonly calibration: string;
  readonly heldOut: string;
}

/** A decision that was made before. */
export interface AppliedDecision {
  /** Where it stands, for the record: a plan's file, or a run's folder. */
  readonly source: string;
  /** In per cent, where a part of that run is applied. */
  readonly ratio: number | null;
  /**
   * @param published the ranking in which widths of a published config count.
   * @throws {PlanError} when it is of another checkpoint, or does not fit this one.
   */
  decide(modelDigest: string, published: Ranking): Promise<Decision>;
}

/** What a run works with. */
export interface RunTools {
  readonly backend: Backend;
  readonly tokenizer: Tokenizer;
  readonly store: RunStore;
  /** Whose workers score candidates; left out, they are scored here. */
  readonly queue?: WorkQueue;
  /** Bytes that may be taken, as there are now. */
  readonly memory: () => number;
  readonly signal?: StopSignal;
  /** Reading of `performance.now` when the run began, where that was before. */
  readonly started?: number;
  /**
   * Throws when the model is not any more what it was, by its digest; asked before the result is
   * whole.
   */
  readonly checkSource?: (modelDigest: string) => Promise<void>;
}

/** Scores candidates of a search, after the dense model was asked what they are judged by. */
export type SearchScorer = ReturnType<typeof openScorer> | SharedScorer;

/** A model in memory. */
export interface LoadedRun extends AsyncDisposable {
  readonly memory: MemoryPlan;
  /** Of the task, with batches as small as they have to be. */
  readonly flags: RunFlags;
  /** The published ranking of units, in which the weights lie. */
  readonly ranking: Ranking;
  /** The dense model. */
  readonly decoder: Decoder;
  /** What candidates run on: the same, or a copy on the backend's device. */
  readonly searching: Decoder | ResidentDecoder;
}

/** A model in memory, with all that a search of it needs. */
export interface PreparedRun extends LoadedRun {
  readonly settings: RunSettings;
  /** What others compute; null where all is computed here. */
  readonly shared: SharedWork | null;
  readonly scorers: Readonly<Record<"block" | "width", SearchScorer>>;
}

/**
 * Shares out memory, says what the run depends on, and loads the model.
 * @throws {InsufficientMemoryError} before anything is read, when it does not fit.
 */
export async function* prepareRun(
  model: Model,
  texts: RunTexts,
  task: PruneTask,
  tools: RunTools,
): AsyncGenerator<RunEvent, PreparedRun> {
  const { backend, signal } = tools;
  const allowed = yield* allowedIn(model, texts, task, tools);
  const digest = task.modelDigest ??
    (yield* phase("reading the model", signal, ({ progress }) => modelDigest(model, progress)));
  await using opening = new AsyncDisposableStack();
  const loaded = opening.use(await load(model, allowed, tools));
  const { flags, decoder, searching, memory: { cacheBytes } } = loaded;
  const settings = settingsOf(flags, texts, digest, task.latencies ?? null, backend);
  const shared = tools.queue && !task.applied
    ? shareWork(tools.queue, decoder, texts, settings)
    : null;
  const open = (text: "block" | "width") =>
    shared?.scorer(text) ??
      openScorer(searching, texts[text], flags, { cacheBytes, dense: decoder, signal });
  const scorers = { block: open("block"), width: open("width") };
  const opened = opening.move();
  return {
    ...{ ...loaded, settings, shared, scorers },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/**
 * Shares out memory and loads the model, for work that nothing is kept of: the model's digest,
 * which takes all of its bytes, is not asked for.
 * @throws {InsufficientMemoryError} before anything is read, when it does not fit.
 */
export async function* loadRun(
  model: Model,
  texts: RunTexts,
  task: PruneTask,
  tools: RunTools,
): AsyncGenerator<RunEvent, LoadedRun> {
  return await load(model, yield* allowedIn(model, texts, task, tools), tools);
}

/** What a run may hold in memory, and how it works within that. */
type Allowed = Pick<LoadedRun, "memory" | "flags">;

/** Tells that a run begins, and what of the model finds no room. */
async function* allowedIn(
  model: Model,
  texts: RunTexts,
  task: PruneTask,
  tools: RunTools,
): AsyncGenerator<RunEvent, Allowed> {
  if (tools.queue && !task.applied && fitsCells(task.flags)) {
    throw new UsageError(
      "--search table scores with fits, and workers have the weights of the checkpoint; leave out --workers, or pass --recover none",
    );
  }
  const tokens = Math.max(tokenCount(texts.block), tokenCount(texts.width));
  const learnt = {
    calibration: tokenCount(texts.extended),
    validation: texts.validation ? tokenCount(texts.validation) : 0,
  };
  const memory = shareMemory(model, tokens, task.flags, tools, learnt);
  const flags = { ...task.flags, batchTokens: memory.batchTokens };
  yield { type: "begin", flags };
  if (memory.inFileBytes > 0) yield { type: "note", message: inFile(memory) };
  if (memory.scratchBytes > 0) yield { type: "note", message: inScratch(memory) };
  return { memory, flags };
}

async function load(
  model: Model,
  allowed: Allowed,
  { backend, store }: Pick<RunTools, "backend" | "store">,
): Promise<LoadedRun> {
  const { memory } = allowed;
  // Channels of experts are ranked when they are about to go, and not where none of them may.
  const ranking = await rankByWeights(model, PUBLISHED_RANKING, { owned: false });
  await using opening = new AsyncDisposableStack();
  const workspace = opening.use(
    new Workspace(memory.workspaceBytes, store.openScratch?.bind(store)),
  );
  const decoder = opening.use(
    new Decoder(backend, await LaidOutWeights.load(model, { ranking, workspace, ...memory })),
  );
  const searching = searchingOn(decoder);
  const opened = opening.move();
  return {
    ...allowed,
    ranking,
    decoder,
    searching,
    async [Symbol.asyncDispose]() {
      if (searching !== decoder) await searching.dispose();
      await opened.disposeAsync();
    },
  };
}

function inFile({ inFileBytes }: MemoryPlan): string {
  return `${formatBytes(inFileBytes)} of the weights find no room in memory: they stay in the ` +
    "file, and are read whenever they are used; --memory gives more where there is more";
}

function inScratch({ scratchBytes }: MemoryPlan): string {
  return `hidden states and fits of up to ${formatBytes(scratchBytes)} find no room in memory: ` +
    "a file in the run's folder has them for as long as they are needed";
}

/**
 * What may be held in memory while the run goes on.
 * @param tokens of the larger set of samples.
 * @param learnt left out, as many tokens as there are at most.
 * @throws {InsufficientMemoryError} when it cannot; whoever asks before `prune` does learns it
 *   early.
 */
export function shareMemory(
  model: Model,
  tokens: number,
  flags: RunFlags,
  { backend, store, memory }: Pick<RunTools, "memory"> & {
    readonly backend: Pick<Backend, "description">;
    readonly store: Pick<RunStore, "settings" | "openScratch">;
  },
  learnt?: LearntTokens,
): MemoryPlan {
  const { architecture } = model;
  const weights = weightMemory(model);
  return planMemory({
    ...{ architecture, weights },
    length: flags.seqLen,
    tokens,
    batchTokens: flags.batchTokens,
    // A run that goes on has to go on with the batches that it has.
    fixed: store.settings !== null,
    backend: backend.description,
    alongside: criterionOf(flags.criterion).needs === "predictions" ? [predictionsOf(tokens)] : [],
    beside: {
      works: sideWorkOf(architecture, weights, flags, learnt),
      scratch: store.openScratch !== undefined,
    },
  }, memory());
}

/** What the run depends on, as its store keeps it. */
function settingsOf(
  flags: RunFlags,
  texts: RunTexts,
  digest: string,
  latencies: LatencyTable | null,
  backend: Backend,
): RunSettings {
  return {
    kind: "lopper-run-settings",
    schema: SETTINGS_SCHEMA,
    version: VERSION,
    modelDigest: digest,
    calibrationDigest: { block: texts.block.digest, width: texts.width.digest },
    ...(measuresSteps(flags) && { heldOutDigest: texts.heldOut.digest }),
    ...(texts.validation && { validationDigest: texts.validation.digest }),
    ...(needsExtended(flags) && { extendedDigest: texts.extended.digest }),
    backend: backend.description.name,
    ...(latencies && { latencies }),
    flags,
  };
}
