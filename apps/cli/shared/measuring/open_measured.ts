import type { Backend, BackendDescription } from "@lopper/backends";
import { type StopSignal, UsageError } from "@lopper/core";
import {
  BATCH_TOKENS,
  DEFAULT_WINDOW,
  type EvaluationFlags,
  type OpenedModel,
} from "@lopper/evaluation";
import { type Model, modelDigest } from "@lopper/models";
import {
  fitsInMemory,
  type MemoryPart,
  openFitting,
  type WeightRoom,
  weightRoom,
} from "@lopper/run";
import { Decoder, LaidOutWeights } from "@lopper/runtime";
import { openTokenizer } from "@lopper/tokenizers";
import type { EvaluationLog } from "./evaluation_log.ts";
import { budgetNow } from "../inputs/memory_budget.ts";
import { openUserBackend } from "../inputs/open_backend.ts";
import type { LocatedModel } from "../inputs/locate_models.ts";
import { openLocated, TOLD } from "../inputs/open_model.ts";
import type { Reporter } from "../terminal/reporter.ts";

/** How models are opened to be measured. */
export type EngineFlags = Pick<EvaluationFlags, "seqLen" | "memory" | "backend" | "threads">;

export interface EvaluationRun {
  readonly located: LocatedModel;
  readonly log: EvaluationLog;
  readonly options: EngineFlags;
  readonly reporter: Reporter;
  readonly signal: StopSignal;
  /** What else is to be in memory beside the model, and its bytes. */
  readonly beside?: (model: Model) => readonly MemoryPart[];
}

/**
 * A model that cannot be opened is better known before the others have been measured; so is what it
 * passes over.
 */
export async function checkModels(models: readonly LocatedModel[], reporter: Reporter) {
  for (const located of models) {
    using model = await openLocated(located, (note) => reporter.note(note));
    using _ = await openTokenizer(model.folder);
  }
}

/** A model that is open to be measured, which whoever opened it disposes of. */
export type OpenMeasured = OpenedModel & AsyncDisposable;

/** Opens a model to measure it. */
export async function openMeasured(run: EvaluationRun): Promise<OpenMeasured> {
  const { options, reporter, signal } = run;
  await using opening = new AsyncDisposableStack();
  opening.defer(() => reporter.stop());
  const { title } = run.located;
  const model = opening.use(await openLocated(run.located, TOLD));
  const length = windowLength(model, options.seqLen);
  const backend = opening.use(await openEngines(model, length, run));
  const digest = await modelDigest(model, (done, total) => {
    reporter.progress(`reading ${title}`, done, total);
    signal.throwIfAborted();
  });
  const decoder = opening.use(await openDecoder(model, backend, length, run));
  const tokenizer = opening.use(await openTokenizer(model.folder));
  const log = run.log.of(digest, backend.description.name);
  const opened = opening.move();
  return {
    ...{ model, title, digest, tokenizer, decoder, backend, length, log },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** @throws {UsageError} when the model takes fewer tokens than asked for. */
function windowLength({ architecture }: Model, asked: number | undefined): number {
  const longest = architecture.maxPositions;
  if (asked !== undefined && asked > longest) {
    throw new UsageError(`--seq-len is ${asked}; this model takes ${longest} tokens at most`);
  }
  return asked ?? Math.min(DEFAULT_WINDOW, longest);
}

/** The engine that was asked for; of one that shares out its work, as much as fits. */
async function openEngines(model: Model, length: number, run: EvaluationRun): Promise<Backend> {
  const { options, reporter } = run;
  const open = (threads?: number) =>
    openUserBackend(options.backend, { ...options, threads }, (message) => reporter.say(message));
  if (options.threads !== undefined) return await open(options.threads);
  return await openFitting(
    open,
    (description) => fitsInMemory(() => roomOf(model, description, length, run).expandedBytes >= 0),
  );
}

async function openDecoder(
  model: Model,
  backend: Backend,
  length: number,
  run: EvaluationRun,
): Promise<Decoder> {
  const room = roomOf(model, backend.description, length, run);
  return new Decoder(
    backend,
    await LaidOutWeights.load(model, room),
  );
}

/** @throws {InsufficientMemoryError} when the least does not fit. */
function roomOf(
  model: Model,
  backend: BackendDescription,
  length: number,
  { options: { memory }, beside }: EvaluationRun,
): WeightRoom {
  const tokens = Math.max(BATCH_TOKENS, length);
  const part = { tokens, length, beside: beside?.(model) };
  return weightRoom(model, backend, part, budgetNow(memory));
}
