import type { Backend } from "@lopper/backends";
import {
  CheckpointFormatError,
  ExportError,
  seal,
  type StopSignal,
  UnsupportedModelError,
  VERSION,
} from "@lopper/core";
import { type ByteSink, type ModelFolder, writeJson } from "@lopper/formats";
import { tokenCount } from "@lopper/importance";
import { type Model, modelDigest } from "@lopper/models";
import { streamedLogits } from "@lopper/runtime";
import { openTokenizer } from "@lopper/tokenizers";
import { compareLogits } from "./compare_logits.ts";
import { EXPORT_RECORD, type ExportRecord, type Verification } from "./export_record.ts";
import { checkFormat, EXPORT_FORMATS } from "./formats.ts";
import { type FormatName, type FormatOptions, precisionOf } from "./options.ts";
import type { Learnt } from "./rounding/block_rounder.ts";
import { roundingSet, type RoundingText } from "./rounding/rounding_text.ts";
import { checkDifference, toleranceOf } from "./verify.ts";

/** Tokens over which an export is compared with its source. */
const VERIFY_TOKENS = 128;

/** What a model is to be written as. */
export interface ExportTask {
  /** What the model is called. */
  readonly title: string;
  readonly to: FormatName;
  readonly options: FormatOptions;
}

/** Where an export goes. */
export interface ExportStore {
  /** What messages call the place. */
  readonly path: string;
  /** The sink of a file by its path, with slashes. */
  sink(file: string): Promise<ByteSink>;
  /** What was written, to be read back. */
  reopen(): ModelFolder;
}

/** What compares the logits of a result with those of its source. */
export interface Verifier {
  readonly backend: Backend;
  /** Text to compare them on. */
  readonly text: string;
}

export interface ExportTools {
  readonly store: ExportStore;
  /** Null where nothing is to be verified. */
  readonly verifier: Verifier | null;
  /** What matrices are rounded by where the task says so. */
  readonly calibration?: RoundingText | null;
  readonly signal?: StopSignal;
  /** Hears what begins. */
  readonly onPhase?: (phase: "writing" | "verifying") => void;
  /** Hears how many blocks are rounded. */
  readonly onRounded?: (done: number, total: number) => void;
  /** Throws when the model is not what it was, by its digest. */
  readonly checkSource?: (digest: string) => Promise<void>;
}

/**
 * Writes a model in the form that other programs load, opens what it wrote, compares, and records.
 * @throws {ExportError} when the format cannot hold the model, or the result computes something
 *   else than its source.
 * @throws what the signal throws, before the next bytes are written.
 */
export async function exportModel(
  model: Model,
  task: ExportTask,
  tools: ExportTools,
): Promise<ExportRecord> {
  const { title, to, options } = task;
  const { store, verifier, signal, onPhase } = tools;
  // Before the work: what does not fit, or a text that cannot be tokenised, is no reason to fail
  // after it.
  await checkFormat(to, model, options);
  const ids = verifier ? await tokensOf(model, verifier.text) : [];
  const learnt = options.rounding === "gptq" ? await learntFrom(model, tools) : undefined;
  const sinks = new CountedSinks(store, signal);
  const open = (file: string) => sinks.open(file);
  onPhase?.("writing");
  const digest = await modelDigest(model);
  signal?.throwIfAborted();
  const written = await EXPORT_FORMATS[to].write(model, open, options, title, learnt);
  signal?.throwIfAborted();
  if (verifier) onPhase?.("verifying");
  const record: ExportRecord = {
    kind: "lopper-export",
    schema: 1,
    version: VERSION,
    source: { name: title, digest },
    format: to,
    dtype: options.dtype ?? null,
    quantize: options.quantize ?? null,
    ...(learnt && {
      rounding: { by: "gptq", tokens: tokenCount(learnt.text), digest: learnt.text.digest },
    }),
    ...(options.layout && { layout: options.layout }),
    customCode: written.customCode,
    ...(written.unquantised && { unquantised: written.unquantised }),
    ...(written.notes && { notes: written.notes }),
    files: written.files,
    bytes: sinks.bytes,
    verification: verifier && await verify(model, task, tools, verifier.backend, ids),
  };
  await tools.checkSource?.(digest);
  await writeJson(open, EXPORT_RECORD, await seal(record));
  return record;
}

/** @throws {CalibrationError} when the text is too short. */
async function learntFrom(
  model: Model,
  { calibration, signal, onRounded }: ExportTools,
): Promise<Learnt> {
  if (!calibration) throw new TypeError("GPTQ needs a text");
  const { length } = model.architecture.blocks;
  return {
    backend: calibration.backend,
    text: await roundingSet(model, calibration),
    onBlock: (block) => {
      signal?.throwIfAborted();
      onRounded?.(block, length);
    },
  };
}

/** Sinks that ask before every write whether to go on, and count. */
class CountedSinks {
  readonly #store: ExportStore;
  readonly #signal: StopSignal | undefined;
  bytes = 0;

  constructor(store: ExportStore, signal: StopSignal | undefined) {
    this.#store = store;
    this.#signal = signal;
  }

  async open(file: string): Promise<ByteSink> {
    const sink = await this.#store.sink(file);
    return {
      write: async (bytes) => {
        this.#signal?.throwIfAborted();
        await sink.write(bytes);
        this.bytes += bytes.byteLength;
      },
      commit: () => sink.commit(),
      abort: () => sink.abort(),
    };
  }
}

/** @throws {ExportError} when the result computes something else than its source. */
async function verify(
  model: Model,
  { to, options }: ExportTask,
  { store, signal }: ExportTools,
  backend: Backend,
  ids: readonly number[],
): Promise<Verification> {
  const format = EXPORT_FORMATS[to];
  const reference = await streamedLogits(backend, model, ids);
  signal?.throwIfAborted();
  const folder = store.reopen();
  const logits = await format.logits(folder, { backend, model, ids, options })
    .catch((error) => Promise.reject(notReadBack(error, folder.name, store.path)));
  const difference = compareLogits(reference, logits, model.architecture.vocabSize);
  const tolerance = toleranceOf(precisionOf(to, options));
  checkDifference(difference, tolerance);
  const { engine } = backend.description;
  return { ...difference, tolerance, by: format.verifiedBy, engine };
}

/**
 * What is wrong with an export that was written, by the place where it was to appear: where it lies
 * now is gone soon.
 */
function notReadBack(error: unknown, now: string, place: string): unknown {
  if (!(error instanceof CheckpointFormatError || error instanceof UnsupportedModelError)) {
    return error;
  }
  const problem = error.message.replaceAll(now, place);
  return new ExportError(`the export cannot be read back, and is not kept: ${problem}`, {
    cause: error,
  });
}

/** The first tokens of a text. @throws {ExportError} when the tokenizer finds fewer than two. */
async function tokensOf(model: Model, text: string): Promise<readonly number[]> {
  const { architecture } = model;
  using tokenizer = await openTokenizer(model.folder);
  const length = Math.min(VERIFY_TOKENS, architecture.maxPositions);
  const ids = (await tokenizer.encode(text)).slice(0, length);
  const known = ids.every((id) => id < architecture.vocabSize);
  if (ids.length >= 2 && known) return ids;
  throw new ExportError(
    `${model.name}: its tokenizer makes ${ids.length} tokens${
      known ? "" : ", some of them outside the vocabulary,"
    } of the held-out text, so the export cannot be verified (--verify none writes it all the same)`,
  );
}
