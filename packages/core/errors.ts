/**
 * Errors by meaning. Each message says what was tried, what was found and what is needed, in one
 * sentence that a person can act on; the fields carry the same facts for programs. Anything that is
 * not a `LopperError` is a bug or an I/O failure and is shown as such.
 */
import { formatMilliseconds, formatRatio } from "./format.ts";

/**
 * Characters of a message that are shown, of its beginning and its end: names in a checkpoint may
 * have any length.
 */
const SHOWN = { beginning: 900, end: 400 } as const;

export class LopperError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(shortened(message), options);
    this.name = new.target.name;
  }
}

/** What was found stands at the beginning of a message, and what is needed at its end. */
function shortened(message: string): string {
  const { beginning, end } = SHOWN;
  return message.length <= beginning + end
    ? message
    : `${message.slice(0, beginning)} … ${message.slice(-end)}`;
}

/**
 * Where in a checkpoint something is wrong. Offsets and sizes are bytes from the start of `file`.
 */
export interface CheckpointLocation {
  readonly file: string;
  readonly tensor?: string;
  readonly offset?: number;
}

/**
 * The bytes of a checkpoint are not what their format promises: permanent, retrying does not help.
 */
export class CheckpointFormatError extends LopperError {
  readonly location: CheckpointLocation;
  constructor(problem: string, location: CheckpointLocation, options?: ErrorOptions) {
    super(`${describe(location)}: ${problem}`, options);
    this.location = location;
  }
}

/**
 * A well-formed checkpoint of a kind that Lopper does not support: an unknown family or setting.
 */
export class UnsupportedModelError extends LopperError {}

/**
 * A backend cannot run an operator or dtype; the only error on which another backend may be tried.
 */
export class UnsupportedOpError extends LopperError {
  readonly backend: string;
  readonly op: string;
  readonly dtype: string | undefined;
  constructor(backend: string, op: string, dtype?: string, options?: ErrorOptions) {
    super(`backend ${backend} cannot run ${op}${dtype ? ` on ${dtype}` : ""}`, options);
    this.backend = backend;
    this.op = op;
    this.dtype = dtype;
  }
}

/** A backend does not work on this machine: its engine, a library or a device is missing. */
export class BackendUnavailableError extends LopperError {
  readonly backend: string;
  /** What was found and what is needed. */
  readonly reason: string;
  constructor(backend: string, found: string, needed: string, options?: ErrorOptions) {
    const reason = `${found}; it needs ${needed}`;
    super(`backend ${backend} cannot be opened: ${reason}`, options);
    this.backend = backend;
    this.reason = reason;
  }
}

/** A pruning plan that is malformed or belongs to another checkpoint. */
export class PlanError extends LopperError {}

/** Calibration or held-out text that cannot be used. */
export class CalibrationError extends LopperError {}

/** A task, data set or text that cannot be evaluated on. */
export class EvaluationError extends LopperError {}

/** The hub cannot be reached, refuses, or has something else than was looked for. */
export class HubError extends LopperError {
  /** HTTP status of its answer, or null without one. */
  readonly status: number | null;
  constructor(message: string, status: number | null = null, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** The hub does not answer, or not from where this machine is. */
export class HubUnreachableError extends HubError {}

/**
 * A target that pruning cannot reach with the given settings. `target` and `reachable` are in per
 * cent of what the dense model takes of what is to become less: its parameters, or the time that
 * each token is predicted to take.
 */
export class UnreachableTargetError extends LopperError {
  readonly target: number;
  readonly reachable: number;
  /**
   * @param options.denseLatency milliseconds that the dense model takes for a token, where time is
   *   to become less.
   * @param options.searched `reachable` is where a search ended; others might end elsewhere.
   */
  constructor(
    target: number,
    reachable: number,
    reason: string,
    { denseLatency, searched = false }: {
      readonly denseLatency?: number;
      readonly searched?: boolean;
    } = {},
  ) {
    const left = (percent: number) => formatMilliseconds((1 - percent / 100) * denseLatency!);
    const way = searched
      ? "to go on with --best-effort keeps that"
      : "pass --best-effort to stop there";
    const [what, found, less] = denseLatency === undefined
      ? [
        `prune ${formatRatio(target)} of the parameters`,
        `${searched ? "this search reached" : "the largest reachable ratio is"} ${
          formatRatio(reachable)
        }`,
        "ask for less",
      ]
      : [
        `bring a token from ${formatMilliseconds(denseLatency)} to ${left(target)}`,
        `${searched ? "this search reached" : "the least that can be predicted is"} ${
          left(reachable)
        }`,
        "allow more",
      ];
    super(`cannot ${what}: ${reason}; ${found} (${less}, or ${way})`);
    this.target = target;
    this.reachable = reachable;
  }
}

/** Work that does not fit into the memory it may take. Sizes are bytes. */
export class InsufficientMemoryError extends LopperError {
  readonly needed: number;
  readonly available: number;
  constructor(message: string, needed: number, available: number) {
    super(message);
    this.needed = needed;
    this.available = available;
  }
}

/** A journal or run folder that cannot be continued. */
export class ResumeError extends LopperError {}

/** A folder that holds no run of Lopper, or a damaged one. */
export class RunFolderError extends LopperError {}

/** A folder that another process works in. */
export class FolderBusyError extends LopperError {
  readonly folder: string;
  /** @param holder who has it, where that is known. */
  constructor(folder: string, holder: string | null) {
    super(
      `${folder} is in use by another Lopper${
        holder === null ? "" : ` (${holder})`
      }; wait for it, or choose another --out`,
    );
    this.folder = folder;
  }
}

/** A file that cannot be written: no space, no permission, no folder any more. */
export class WriteError extends LopperError {
  readonly file: string;
  readonly reason: string;
  constructor(file: string, reason: string, options?: ErrorOptions) {
    super(`${file} cannot be written: ${reason}`, options);
    this.file = file;
    this.reason = reason;
  }
}

/**
 * A file that the system does not let be read: no permission, a name too long, a disk with errors.
 */
export class ReadError extends LopperError {
  readonly file: string;
  constructor(file: string, reason: string, options?: ErrorOptions) {
    super(`${file} cannot be read: ${reason}`, options);
    this.file = file;
  }
}

/** A source that was changed while it was read. */
export class SourceChangedError extends LopperError {}

/** An export that cannot be made as asked, or that does not compute what its source computes. */
export class ExportError extends LopperError {}

/** The command line was wrong (exit code 2). */
export class UsageError extends LopperError {}

function describe({ file, tensor, offset }: CheckpointLocation): string {
  const parts = [file];
  if (tensor !== undefined) parts.push(`tensor ${JSON.stringify(tensor)}`);
  if (offset !== undefined) parts.push(`byte ${offset}`);
  return parts.join(", ");
}
