import type { Backend } from "@lopper/backends";
import { countParameters, UsageError, VERSION } from "@lopper/core";
import {
  evaluateTask,
  type Metric,
  type MetricName,
  prepareTask,
  questionsDigest,
  RequestScorer,
  type SequenceScorer,
  sequenceScorer,
  textPerplexity,
  textWindows,
} from "@lopper/evaluation";
import { type Model, modelDigest, openTokenizer, type Tokenizer } from "@lopper/model-io";
import { writeTextFileAtomically } from "@lopper/model-io/files";
import { Decoder, LaidOutWeights, ResidentDecoder, sourceOrder } from "@lopper/runtime";
import { Command } from "commander";
import { join } from "node:path";
import { EvaluationLog, type ModelLog } from "../evaluation_log.ts";
import { describeEvaluation } from "../evaluation_output.ts";
import {
  type AskedTask,
  type Measures,
  type NamedText,
  OWN_TASK_HELP,
  readMeasures,
  TASK_GROUPS,
} from "../evaluation_tasks.ts";
import { interruptible } from "../interrupt.ts";
import { expandedWithin, memoryBudget } from "../memory.ts";
import { BACKEND_HELP, openUserBackend } from "../open_backend.ts";
import { openUserModel } from "../open_model.ts";
import { wholeNumber } from "../options.ts";
import { userPath } from "../paths.ts";
import { openReporter, type Reporter } from "../reporter.ts";

/** Windows of the literature; a model that takes less gets its own most. */
const DEFAULT_WINDOW = 2048;
/** Tokens that go through a block together when questions are scored. */
const BATCH_TOKENS = 2048;

interface Options {
  tasks: string;
  perplexity: readonly string[];
  data?: string;
  limit?: number;
  seqLen?: number;
  bos: boolean;
  out?: string;
  memory?: string;
  backend: string;
  threads?: number;
  json?: boolean;
}

export function evaluateCommand(): Command {
  const collect = (value: string, earlier: readonly string[]) => [...earlier, value];
  return new Command("evaluate")
    .description(
      "Measure models: perplexity of texts, and zero-shot tasks as lm-evaluation-harness scores them.",
    )
    .argument(
      "<MODEL...>",
      'folders in Hugging Face layout, GGUF or ONNX files, or "demo" for the embedded model',
    )
    .option(
      "--tasks <names>",
      `comma-separated: ${TASK_GROUPS.all.join(", ")}; paper (${
        TASK_GROUPS.paper.join(", ")
      }), all; or a .jsonl file of your own questions`,
      "",
    )
    .option(
      "--perplexity <path>",
      "a text to measure: .txt, .jsonl (field text), .parquet (column text), or a folder of them; may be repeated",
      collect,
      [],
    )
    .option("--data <dir>", "folder that holds the tasks' data sets")
    .option("--limit <n>", "ask only the first so many questions of each task", wholeNumber(1))
    .option(
      "--seq-len <n>",
      `tokens of a perplexity window (default: ${DEFAULT_WINDOW}, or what the model takes)`,
      wholeNumber(2),
    )
    .option("--no-bos", "leave out the special tokens that the tokenizer puts before a text")
    .option(
      "--out <dir>",
      "folder for the scores: what is in it is not computed again, so that a stopped evaluation goes on",
    )
    .option(
      "--memory <size>",
      "memory that it may take, e.g. 4GB or 50% (default: 60 % of what is free)",
    )
    .option("--backend <name>", BACKEND_HELP, "auto")
    .option("--threads <n>", "threads (default: all on cpu, 1 on wasm)", wholeNumber(1))
    .option("--json", "print one JSON object a line")
    .addHelpText(
      "after",
      "\nExamples:\n  lopper evaluate demo --perplexity packages/demo-model/data/held_out.txt\n" +
        "  lopper evaluate ./smollm2 ./smol-20 --tasks paper --data ./datasets --limit 200 --out ./scores\n" +
        "  lopper evaluate model.gguf --tasks my_questions.jsonl\n" +
        `\nA line of your own questions has one of these forms:\n${OWN_TASK_HELP}\n`,
    )
    .action(run);
}

async function run(paths: readonly string[], options: Options) {
  const reporter = openReporter(options.json);
  const measures = await readMeasures({
    ...options,
    data: options.data === undefined ? null : userPath(options.data),
    limit: options.limit ?? null,
  });
  await checkModels(paths);
  const out = options.out === undefined ? null : userPath(options.out);
  if (out !== null) await Deno.mkdir(out, { recursive: true });
  const log = out === null
    ? EvaluationLog.none()
    : await EvaluationLog.open(join(out, "scores.jsonl"));
  try {
    const hint = out === null
      ? "stopped; nothing is kept without --out"
      : "stopped; what was scored is kept, the same command goes on";
    const models: ModelEvaluation[] = [];
    await interruptible(async (interruption) => {
      const check = () => interruption(hint);
      for (const path of paths) {
        models.push(await evaluateModel({ path, measures, log, options, reporter, check }));
      }
    });
    const record = { kind: "lopper-evaluation", schema: 1, version: VERSION, models } as const;
    if (out !== null) {
      await writeTextFileAtomically(
        join(out, "evaluation.json"),
        JSON.stringify(record, null, 2) + "\n",
      );
    }
    reporter.result({ ...record }, describeEvaluation(models));
  } finally {
    reporter.stop();
    log.close();
  }
}

/** A model that cannot be opened is better known before the others have been measured. */
async function checkModels(paths: readonly string[]) {
  for (const path of paths) {
    const { model } = await openUserModel(path);
    try {
      await openTokenizer(model.folder);
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
  /** Of the questions asked. */
  readonly dataDigest: string;
  readonly metrics: Readonly<Partial<Record<MetricName, Metric>>>;
  /** Blocks run × tokens, and seconds; 0 for what was known. */
  readonly blockTokens: number;
  readonly seconds: number;
}

interface Run {
  readonly path: string;
  readonly measures: Measures;
  readonly log: EvaluationLog;
  readonly options: Options;
  readonly reporter: Reporter;
  /** Throws when the user wants to stop. */
  readonly check: () => void;
}

async function evaluateModel(run: Run): Promise<ModelEvaluation> {
  const { options, reporter, measures } = run;
  const { model, title } = await openUserModel(run.path);
  try {
    const backend = await openUserBackend(options.backend, options.threads, (m) => reporter.say(m));
    try {
      const length = windowLength(model, options.seqLen);
      const digest = await modelDigest(
        model,
        (done, total) => reporter.progress(`reading ${title}`, done, total),
      );
      const decoder = await openDecoder(model, backend, length, options.memory);
      const tokenizer = await openTokenizer(model.folder);
      const { name, engine, threads } = backend.description;
      const part: Part = {
        ...run,
        model,
        title,
        tokenizer,
        decoder,
        backend,
        length,
        log: run.log.of(digest, name),
      };
      const texts = await measureTexts(part, measures.texts);
      const tasks: TaskEvaluation[] = [];
      for (const asked of measures.tasks) tasks.push(await measureTask(part, asked));
      await decoder.dispose();
      return {
        model: title,
        digest,
        parameters: countParameters(model.spec).total,
        backend: { name, engine, threads },
        bos: options.bos,
        texts,
        tasks,
      };
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
  const longest = Math.min(spec.maxPositions, spec.slidingWindow ?? Infinity);
  if (asked !== undefined && asked > longest) {
    throw new UsageError(`--seq-len is ${asked}; this model takes ${longest} tokens at most`);
  }
  return asked ?? Math.min(DEFAULT_WINDOW, longest);
}

async function openDecoder(
  model: Model,
  backend: Backend,
  length: number,
  memory: string | undefined,
): Promise<Decoder> {
  const tokens = Math.max(BATCH_TOKENS, length);
  const budget = memoryBudget(memory, Deno.systemMemoryInfo().available);
  const expandedBytes = expandedWithin(model, backend.description, { tokens, length }, budget);
  return new Decoder(
    backend,
    await LaidOutWeights.load(model, sourceOrder(model.spec), { expandedBytes }),
  );
}

interface Part extends Omit<Run, "log"> {
  readonly model: Model;
  readonly title: string;
  readonly tokenizer: Tokenizer;
  readonly decoder: Decoder;
  readonly backend: Backend;
  /** Tokens of a perplexity window. */
  readonly length: number;
  readonly log: ModelLog;
}

async function measureTexts(part: Part, texts: readonly NamedText[]): Promise<TextEvaluation[]> {
  if (texts.length === 0) return [];
  const { decoder, backend } = part;
  const { layers } = decoder.spec;
  const resident = backend.description.residentWeights
    ? new ResidentDecoder(backend, decoder.weights)
    : null;
  const scorer: SequenceScorer = resident
    ? { nll: (sequences) => resident.nll(layers, sequences) }
    : sequenceScorer(decoder);
  const results: TextEvaluation[] = [];
  for (const text of texts) results.push(await measureText(part, scorer, text));
  await resident?.dispose();
  return results;
}

async function measureText(
  { title, tokenizer, length, options, reporter, log, check }: Part,
  scorer: SequenceScorer,
  { name, text }: NamedText,
): Promise<TextEvaluation> {
  const windows = textWindows(text, tokenizer, { length, addSpecialTokens: options.bos }, name);
  const { known, append } = await log.windows(name, windows.windows);
  const { windowNll: _, length: seqLen, ...result } = await textPerplexity(scorer, windows, {
    known,
    async onScored(window, nll) {
      await append(window, nll);
      check();
    },
    onProgress: (done, total) => reporter.progress(`${title}, ${name}`, done, total),
  });
  reporter.stop();
  return { text: name, ...result, seqLen };
}

async function measureTask(
  { model, title, tokenizer, decoder, options, reporter, log, check }: Part,
  { task, questions, available }: AskedTask,
): Promise<TaskEvaluation> {
  const prepared = prepareTask(task, questions, tokenizer, {
    maxLength: model.spec.maxPositions,
    addSpecialTokens: options.bos,
  });
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
  return {
    task: task.name,
    questions: result.questions,
    available,
    requests: result.requests,
    dataDigest: await questionsDigest(questions),
    metrics: result.metrics,
    blockTokens: scorer.blockTokens - before,
    seconds: (performance.now() - started) / 1000,
  };
}
