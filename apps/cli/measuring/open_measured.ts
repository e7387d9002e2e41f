import type { Backend } from "@lopper/backends";
import { longestSequence, UsageError } from "@lopper/core";
import { DEFAULT_WINDOW, type EvaluationFlags } from "@lopper/evaluation";
import { type Model, modelDigest } from "@lopper/models";
import { expandedWithin, type MemoryPart } from "@lopper/run";
import { Decoder, LaidOutWeights, sourceOrder } from "@lopper/runtime";
import { openTokenizer, type Tokenizer } from "@lopper/tokenizers";
import type { EvaluationLog, ModelLog } from "./evaluation_log.ts";
import { budgetNow } from "../inputs/memory_budget.ts";
import { openUserBackend } from "../inputs/open_backend.ts";
import { openUserModel, TOLD } from "../inputs/open_model.ts";
import type { Reporter } from "../terminal/reporter.ts";

/** Tokens that go through a block together when questions are scored. */
export const BATCH_TOKENS = 2048;

/** How models are measured. */
export type EvaluationOptions = Pick<
  EvaluationFlags,
  "seqLen" | "bos" | "memory" | "backend" | "threads"
>;

export interface EvaluationRun {
  readonly path: string;
  readonly log: EvaluationLog;
  readonly options: EvaluationOptions;
  readonly reporter: Reporter;
  /** Throws when the user wants to stop. */
  readonly check: () => void;
  /** What else is to be in memory beside the model, and its bytes. */
  readonly beside?: (model: Model) => readonly MemoryPart[];
}

/** How a model is measured that is open, and who hears of it. */
export type Measuring = Pick<EvaluationRun, "options" | "reporter" | "check">;

/** A model that is open to be measured. */
export interface OpenedModel {
  readonly model: Model;
  readonly title: string;
  readonly digest: string;
  readonly tokenizer: Tokenizer;
  readonly decoder: Decoder;
  readonly backend: Backend;
  /** Tokens of a perplexity window. */
  readonly length: number;
  readonly log: ModelLog;
}

/** A model that cannot be opened is better known before the others have been measured; so is what it passes over. */
export async function checkModels(paths: readonly string[], reporter: Reporter) {
  for (const path of paths) {
    const { model } = await openUserModel(path, (note) => reporter.note(note));
    try {
      using _ = await openTokenizer(model.folder);
    } finally {
      model.close();
    }
  }
}

/** Opens a model to measure it, and closes it when `body` is done. */
export async function withOpenModel<T>(
  run: EvaluationRun,
  body: (open: OpenedModel) => Promise<T>,
): Promise<T> {
  const { options, reporter } = run;
  const { model, title } = await openUserModel(run.path, TOLD);
  try {
    const backend = await openUserBackend(options.backend, options.threads, (m) => reporter.say(m));
    try {
      const length = windowLength(model, options.seqLen);
      const digest = await modelDigest(
        model,
        (done, total) => {
          reporter.progress(`reading ${title}`, done, total);
          run.check();
        },
      );
      const decoder = await openDecoder(model, backend, length, run);
      using tokenizer = await openTokenizer(model.folder);
      const log = run.log.of(digest, backend.description.name);
      const result = await body({ model, title, digest, tokenizer, decoder, backend, length, log });
      await decoder.dispose();
      return result;
    } finally {
      await backend.dispose();
    }
  } finally {
    reporter.stop();
    model.close();
  }
}

/** @throws {UsageError} when the model takes fewer tokens than asked for. */
function windowLength({ spec }: Model, asked: number | undefined): number {
  const longest = longestSequence(spec);
  if (asked !== undefined && asked > longest) {
    throw new UsageError(`--seq-len is ${asked}; this model takes ${longest} tokens at most`);
  }
  return asked ?? Math.min(DEFAULT_WINDOW, longest);
}

async function openDecoder(
  model: Model,
  backend: Backend,
  length: number,
  { options: { memory }, beside }: EvaluationRun,
): Promise<Decoder> {
  const tokens = Math.max(BATCH_TOKENS, length);
  const budget = budgetNow(memory);
  const run = { tokens, length, beside: beside?.(model) };
  const expandedBytes = expandedWithin(model, backend.description, run, budget);
  return new Decoder(
    backend,
    await LaidOutWeights.load(model, sourceOrder(model.spec), { expandedBytes }),
  );
}
