import {
  CalibrationError,
  CheckpointFormatError,
  EvaluationError,
  ExportError,
  HubError,
  LopperError,
  PlanError,
  ResumeError,
  RunFolderError,
  UsageError,
} from "./errors.ts";

/** What a file is read as. */
export interface InputKind {
  /** Its name in a sentence, with the article. */
  readonly what: string;
  /** Bytes that it may have, which is looked at before any of them is read. */
  readonly maxBytes: number;
  /** The error that refuses a file for what was found in it. */
  readonly refuse: (file: string, problem: string, options?: ErrorOptions) => LopperError;
}

type ErrorClass = new (message: string, options?: ErrorOptions) => LopperError;

const MIB = 2 ** 20;

function kind(what: string, maxBytes: number, Refusal: ErrorClass): InputKind {
  const refuse: InputKind["refuse"] = (file, problem, options) =>
    new Refusal(`${file}: ${problem}`, options);
  return { what, maxBytes, refuse };
}

/** Every kind of file that a user or a folder names. */
export const INPUTS = {
  /**
   * Weights, of which only headers are read at once; those of its files that are read whole have
   * limits of their own.
   */
  modelFile: {
    what: "a file of a model",
    maxBytes: Infinity,
    refuse: (file, problem, options) => new CheckpointFormatError(problem, { file }, options),
  },
  /** Samples are counted and read piece by piece, so that a text may have any size. */
  calibration: kind("a calibration text", Infinity, CalibrationError),
  /**
   * A text whose perplexity is measured: two million tokens or more, a day of a large model's work
   * on a laptop. WikiText-2 has 1.3 MB.
   */
  text: kind("a text to be measured", 8 * MIB, EvaluationError),
  /** Texts that a model wrote, kept to be found again: 40,000 of 256 tokens. */
  kept: kind("a kept text", 64 * MIB, CalibrationError),
  /** The largest evaluation set here has 12 MB; what is far larger is another data set. */
  dataSet: kind("an evaluation set", 256 * MIB, EvaluationError),
  /** The widest models in use have 126 layers with 53,248 channels, whose numbers take 45 MB. */
  plan: kind("a plan", 64 * MIB, PlanError),
  /** A table of latencies is the most that settings have, some kB. */
  settings: kind("the settings of a run", 4 * MIB, ResumeError),
  /** Far more than a run of a thousand layers writes. */
  record: kind("the record of a run", 64 * MIB, RunFolderError),
  /** The hub shows no longer ones. */
  card: kind("the card of a model", 4 * MIB, RunFolderError),
  /** A line for each step and each doubtful candidate: days of searching leave some 10 MB. */
  journal: kind("a journal", 256 * MIB, ResumeError),
  /** Far more than a comparison of many models on many tasks has. */
  comparison: kind("a comparison", 64 * MIB, EvaluationError),
  /** Names and digests of an export's files. */
  exportRecord: kind("the record of an export", 4 * MIB, ExportError),
  /** A line about who has it. */
  lock: kind("the lock of a folder", 4096, LopperError),
  /** What stands where a page is to go, of which the beginning is looked at. */
  page: kind("a page", Infinity, UsageError),
  /** The name of a commit, 40 letters. */
  revision: {
    what: "the name of a revision",
    maxBytes: 4096,
    refuse: (file, problem, options) => new HubError(`${file}: ${problem}`, null, options),
  },
} as const satisfies Record<string, InputKind>;

/** Says what is wrong with an input by its name. */
export function refusalOf(
  kind: InputKind,
  file: string,
): (problem: string, options?: ErrorOptions) => LopperError {
  return (problem, options) => kind.refuse(file, problem, options);
}
