import type { BackendName } from "@lopper/backends";
import {
  CheckpointFormatError,
  ExportError,
  longestSequence,
  seal,
  UnsupportedModelError,
  VERSION,
} from "@lopper/core";
import { HELD_OUT_TEXT } from "@lopper/demo-model";
import {
  checkDifference,
  checkFormat,
  compareLogits,
  EXPORT_FORMATS,
  type ExportFormat,
  type FormatName,
  type FormatOptions,
  LOGIT_TOLERANCE,
  precisionOf,
} from "@lopper/exports";
import { INPUTS } from "@lopper/core";
import { type ByteSink, writeJson } from "@lopper/formats";
import { type Model, modelDigest } from "@lopper/models";
import { FileFolder, readInput } from "@lopper/files";
import { streamedLogits } from "@lopper/runtime";
import { openTokenizer } from "@lopper/tokenizers";
import { fileURLToPath } from "node:url";
import type { ExportFolder } from "./export_folder.ts";
import { EXPORT_RECORD } from "./export_record.ts";
import type { ExportRecord, Verification } from "./export_record_schema.ts";
import { openUserBackend } from "../inputs/open_backend.ts";
import type { Reporter } from "../terminal/reporter.ts";

/** Held-out tokens over which an export is compared with its source. */
const VERIFY_TOKENS = 128;

/** The engine that verifies an export. */
export interface Verifier {
  readonly backend: BackendName;
  readonly threads?: number;
}

export interface ExportRun {
  readonly model: Model;
  /** What the model is called. */
  readonly title: string;
  /** Written and verified beside its place; whoever calls puts it there. */
  readonly folder: ExportFolder;
  /** The word that stands after --to. */
  readonly to: FormatName;
  readonly options: FormatOptions;
  /** What compares the logits of the result with those of its source; null where nothing is to. */
  readonly verifier: Verifier | null;
  readonly reporter: Reporter;
  /** Throws when the user wants to stop. */
  readonly check?: () => void;
  /** Throws when the model is not what it was, by its digest. */
  readonly checkSource: (digest: string) => Promise<void>;
}

/**
 * Writes a model in the form that other programs load, opens what it wrote, compares, and records.
 * @throws {ExportError} when the format cannot hold the model, or the result computes something else than its source.
 */
export async function exportModel(run: ExportRun): Promise<ExportRecord> {
  const { model, folder, options, verifier, reporter, check = () => {} } = run;
  const format = EXPORT_FORMATS[run.to];
  // Before the work: what does not fit, or a text that cannot be tokenised, is no reason to fail after it.
  await checkFormat(run.to, model, options);
  const ids = verifier ? await heldOutTokens(model) : [];
  const open = async (file: string) => asking(await folder.sink(file), check);
  reporter.say(`writing ${folder.path}`);
  const digest = await modelDigest(model);
  check();
  const written = await format.write(model, open, options, run.title);
  check();
  const record: ExportRecord = {
    kind: "lopper-export",
    schema: 1,
    version: VERSION,
    source: { name: run.title, digest },
    format: run.to,
    dtype: options.dtype ?? null,
    quantize: options.quantize ?? null,
    ...(options.layout && { layout: options.layout }),
    customCode: written.customCode,
    ...(written.unquantised && { unquantised: written.unquantised }),
    ...(written.notes && { notes: written.notes }),
    files: written.files,
    bytes: await folder.bytes(written.files),
    verification: verifier && await verify(run, verifier, format, ids),
  };
  await run.checkSource(digest);
  await writeJson(open, EXPORT_RECORD, await seal(record));
  return record;
}

/** A sink that asks before every write whether to go on. */
function asking(sink: ByteSink, check: () => void): ByteSink {
  return {
    write: async (bytes) => {
      check();
      await sink.write(bytes);
    },
    commit: () => sink.commit(),
    abort: () => sink.abort(),
  };
}

/** @throws {ExportError} when the result computes something else than its source. */
async function verify(
  { model, folder, to, options, reporter, check = () => {} }: ExportRun,
  { backend: engine, threads }: Verifier,
  format: ExportFormat,
  ids: readonly number[],
): Promise<Verification> {
  reporter.say("verifying");
  const backend = await openUserBackend(engine, threads, (m) => reporter.say(m));
  try {
    const reference = await streamedLogits(backend, model, ids);
    check();
    const context = { backend, model, ids, options };
    const logits = await format.logits(new FileFolder(folder.workPath), context)
      .catch((error) => Promise.reject(notReadBack(error, folder)));
    const difference = compareLogits(reference, logits, model.spec.vocabSize);
    const tolerance = LOGIT_TOLERANCE[precisionOf(to, options)];
    checkDifference(difference, tolerance);
    return {
      ...difference,
      tolerance,
      by: format.verifiedBy,
      engine: backend.description.engine,
    };
  } finally {
    await backend.dispose();
  }
}

/** What is wrong with an export that was written, by the place where it was to appear: where it lies now is gone soon. */
function notReadBack(error: unknown, { path, workPath }: ExportFolder): unknown {
  if (!(error instanceof CheckpointFormatError || error instanceof UnsupportedModelError)) {
    return error;
  }
  const problem = error.message.replaceAll(workPath, path);
  return new ExportError(`the export cannot be read back, and is not kept: ${problem}`, {
    cause: error,
  });
}

/** The first tokens of text that no search sees. @throws {ExportError} when the tokenizer finds fewer than two. */
async function heldOutTokens(model: Model): Promise<readonly number[]> {
  const { spec } = model;
  using tokenizer = await openTokenizer(model.folder);
  const text = await readInput(fileURLToPath(HELD_OUT_TEXT), INPUTS.calibration);
  const length = Math.min(VERIFY_TOKENS, longestSequence(spec));
  const ids = (await tokenizer.encode(text)).slice(0, length);
  const known = ids.every((id) => id < spec.vocabSize);
  if (ids.length >= 2 && known) return ids;
  throw new ExportError(
    `${model.name}: its tokenizer makes ${ids.length} tokens${
      known ? "" : ", some of them outside the vocabulary,"
    } of the held-out text, so the export cannot be verified (--verify none writes it all the same)`,
  );
}
