import {
  formatBytes,
  formatRatio,
  InsufficientMemoryError,
  LopperError,
  ResumeError,
  UnreachableTargetError,
} from "@lopper/core";

/** The browser's storage does not take what a run needs. */
export class StorageError extends LopperError {
  constructor(needed: number) {
    super(
      `This run needs ${
        formatBytes(needed)
      } of the browser's storage for the model and its result, and there is less; delete a run here, or make room on the disk`,
    );
  }
}

/** What went wrong, as a sentence for people who have a page before them and no command line. */
export function explain(error: unknown): string {
  if (error instanceof InsufficientMemoryError) {
    return `This model is too large for a browser tab: it needs ${
      formatBytes(error.needed)
    } of memory and may take ${
      formatBytes(error.available)
    } here. Fewer tokens in a sequence need less; Lopper's command line takes larger models.`;
  }
  if (error instanceof UnreachableTargetError) {
    return `${formatRatio(error.target)} of the parameters cannot go; at most ${
      formatRatio(error.reachable)
    } can, with these settings.`;
  }
  if (error instanceof ResumeError) {
    return `This run cannot go on: ${inPage(error.message)} Delete it, and begin again.`;
  }
  if (error instanceof LopperError) return inPage(error.message);
  if (isNamed(error, "QuotaExceededError")) {
    return "The browser's storage is full. What the run decided is kept: make room, then go on with it.";
  }
  if (isNamed(error, "NoModificationAllowedError")) {
    return "Another tab works on this run; close it, or wait until it is done.";
  }
  if (error instanceof RangeError && /alloc|memory|length/i.test(error.message)) {
    return "The browser has no more memory for this tab. What the run decided is kept: close other tabs, then go on with it.";
  }
  const what = error instanceof Error ? error.message : String(error);
  return `Lopper has made a mistake: ${what}. What the run decided is kept.`;
}

function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}

/** What a page offers where a message names an option of the command line. */
const OFFERED: readonly (readonly [RegExp, string])[] = [
  [/a smaller --seq-len/, "fewer tokens of a sample"],
  [/; export it with --.*$/, "; save it as a folder"],
];
/** What only the command line offers. */
const NOT_OFFERED = /\s*\([^()]*--[a-z][^()]*\)|; [^;]*--[a-z][^;]*$/g;

/**
 * A message as a sentence for people without a command line. It may begin with the name of a file.
 */
function inPage(message: string): string {
  const said = OFFERED.reduce((text, [option, here]) => text.replace(option, here), message)
    .replace(NOT_OFFERED, "");
  return /[.!?]$/.test(said) ? said : `${said}.`;
}

/** With a capital letter and a full stop. */
export function sentence(message: string): string {
  return message.charAt(0).toUpperCase() + message.slice(1) + ".";
}
