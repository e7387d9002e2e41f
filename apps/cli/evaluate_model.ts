import type { Backend } from "@lopper/backends";
import { countParameters, longestSequence, UsageError } from "@lopper/core";
import {
  evaluateTask,
  type Metric,
  type MetricName,
  type Outcomes,
  prepareTask,
  questionsDigest,
  RequestScorer,
  type SequenceScorer,
  sequenceScorer,
  textPerplexity,
  textWindows,
} from "@lopper/evaluation";
import { type Model, modelDigest, openTokenizer, type Tokenizer } from "@lopper/model-io";
import { expandedWithin, type MemoryPart } from "@lopper/run";
import { Decoder, LaidOutWeights, ResidentDecoder, sourceOrder } from "@lopper/runtime";
import type { EvaluationLog, ModelLog } from "./evaluation_log.ts";
import type { AskedTask, Measures, NamedText } from "./evaluation_tasks.ts";
import { budgetNow } from "./memory_budget.ts";
import { openUserBackend } from "./open_backend.ts";
import { openUserModel, TOLD } from "./open_model.ts";
import type { Reporter } from "./reporter.ts";

/** Windows of the literature; a model that takes less gets its own most. */
export const DEFAULT_WINDOW = 2048;
/** Tokens that go through a block together when questions are scored. */
const BATCH_TOKENS = 2048;

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

/** What was measured of one model. */
export interface ModelEvaluation {
  readonly model: string;
  readonly digest: string;
  readonly parameters: number;
  readonly backend: { readonly name: string; readonly engine: string; readonly threads: number };
  /** Whether the tokenizer put its special tokens before the texts. */
  readonly bos: boolean;
  readonly texts: readonly TextEvaluation[];
  readonly tasks: readonly TaskEvaluation[];
}

export interface TextEvaluation {
  readonly text: string;
  readonly perplexity: number;
  readonly bitsPerByte: number;
  /** Tokens of a window, windows, and tokens and bytes of the whole text. */
  readonly seqLen: number;
  readonly windows: number;
  readonly tokens: number;
  readonly bytes: number;
}

export interface TaskEvaluation {
  readonly task: string;
  /** Questions asked, and those that there are. */
  readonly questions: number;
  readonly available: number;
  readonly requests: number;
  /** Questions that are too long for the model, and lost the beginning of a context. */
  readonly shortened: number;
  /** Of the questions asked. */
  readonly dataDigest: string;
  readonly metrics: Readonly<Partial<Record<MetricName, Metric>>>;
  /** Blocks run × tokens, and seconds; 0 for what was known. */
  readonly blockTokens: number;
  readonly seconds: number;
}

/** What a model was measured by, one question and one window at a time: for paired comparisons. */
export interface MeasuredModel {
  readonly evaluation: ModelEvaluation;
  /** Mean negative log-likelihood of each window of each text, in nats per token. */
  readonly windowNll: readonly (readonly number[])[];
  /** Of each task. */
  readonly outcomes: readonly Outcomes[];
}

export interface EvaluationOptions {
  readonly seqLen?: number;
  readonly bos: boolean;
  readonly memory?: string;
  readonly backend: string;
  readonly threads?: number;
}

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
      const result = await body({
        ...run,
        model,
        title,
        digest,
        tokenizer,
        decoder,
        backend,
        length,
        log,
      });
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

/** Measures everything that was asked for. */
export async function evaluateModel(
  open: OpenedModel,
  { texts, tasks }: Measures,
): Promise<MeasuredModel> {
  const { model, title, digest, backend, options } = open;
  const { name, engine, threads } = backend.description;
  const measuredTexts = await measureTexts(open, texts);
  const measuredTasks = [];
  for (const asked of tasks) measuredTasks.push(await measureTask(open, asked));
  return {
    evaluation: {
      model: title,
      digest,
      parameters: countParameters(model.spec).total,
      backend: { name, engine, threads },
      bos: options.bos,
      texts: measuredTexts.map(({ evaluation }) => evaluation),
      tasks: measuredTasks.map(({ evaluation }) => evaluation),
    },
    windowNll: measuredTexts.map(({ windowNll }) => windowNll),
    outcomes: measuredTasks.map(({ outcomes }) => outcomes),
  };
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

/** A model that is open to be measured. */
export interface OpenedModel extends Omit<EvaluationRun, "log"> {
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

interface MeasuredText {
  readonly evaluation: TextEvaluation;
  readonly windowNll: readonly number[];
}

interface MeasuredTask {
  readonly evaluation: TaskEvaluation;
  readonly outcomes: Outcomes;
}

async function measureTexts(
  open: OpenedModel,
  texts: readonly NamedText[],
): Promise<MeasuredText[]> {
  if (texts.length === 0) return [];
  const { decoder, backend } = open;
  const { layers } = decoder.spec;
  const resident = backend.description.residentWeights
    ? new ResidentDecoder(backend, decoder.weights)
    : null;
  const scorer: SequenceScorer = resident
    ? { nll: (sequences) => resident.nll(layers, sequences) }
    : sequenceScorer(decoder);
  const results: MeasuredText[] = [];
  for (const text of texts) results.push(await measureText(open, scorer, text));
  await resident?.dispose();
  return results;
}

async function measureText(
  { title, tokenizer, length, options, reporter, log, check }: OpenedModel,
  scorer: SequenceScorer,
  { name, text }: NamedText,
): Promise<MeasuredText> {
  const windowed = { length, addSpecialTokens: options.bos };
  const windows = await textWindows(text, tokenizer, windowed, name);
  const { known, append } = await log.windows(name, windows.windows);
  const { windowNll, length: seqLen, ...result } = await textPerplexity(scorer, windows, {
    known,
    async onScored(window, nll) {
      await append(window, nll);
      check();
    },
    onProgress: (done, total) => reporter.progress(`${title}, ${name}`, done, total),
  });
  reporter.stop();
  return { evaluation: { text: name, ...result, seqLen }, windowNll };
}

async function measureTask(
  { model, title, tokenizer, decoder, options, reporter, log, check }: OpenedModel,
  { task, questions, available }: AskedTask,
): Promise<MeasuredTask> {
  const prepared = await prepareTask(task, questions, tokenizer, {
    maxLength: model.spec.maxPositions,
    addSpecialTokens: options.bos,
  });
  if (prepared.shortened > 0) {
    reporter.warn(
      `${title}, ${task.name}: ${prepared.shortened} of ${questions.length} questions have more than the ` +
        `${model.spec.maxPositions} tokens that the model takes; the beginnings of their contexts are left out`,
    );
  }
  const { known, append } = await log.questions(task.name, prepared.requests);
  const scorer = new RequestScorer(decoder, { batchTokens: BATCH_TOKENS });
  const [before, started] = [scorer.blockTokens, performance.now()];
  const result = await evaluateTask(scorer, prepared, {
    known,
    async onScored(scored) {
      await append(scored);
      check();
    },
    onProgress: ({ done, total }) => reporter.progress(`${title}, ${task.name}`, done, total),
  });
  reporter.stop();
  const evaluation: TaskEvaluation = {
    task: task.name,
    questions: result.questions,
    available,
    requests: result.requests,
    shortened: prepared.shortened,
    dataDigest: await questionsDigest(questions),
    metrics: result.metrics,
    blockTokens: scorer.blockTokens - before,
    seconds: (performance.now() - started) / 1000,
  };
  return { evaluation, outcomes: result.outcomes };
}
