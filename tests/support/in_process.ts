import { LopperError, UsageError } from "@lopper/core";
import { CommanderError } from "commander";
import assert from "node:assert/strict";
import { lopperProgram } from "../../apps/cli/program.ts";
import { oneThread } from "./cli.ts";

/** What a command printed as its result, and how it ended. */
interface Said {
  readonly stdout: string;
  /** What it ended in; null where it ended well. */
  readonly error: unknown;
}

/**
 * Runs a command in this process: to start another one takes longer than most refusals, and than to
 * prune a tiny model. Paths have to be absolute, since where the user stands belongs to the
 * process.
 */
async function runHere(args: readonly string[]): Promise<Said> {
  const printed: string[] = [];
  const { log, error } = console;
  console.log = (...values: unknown[]) => void printed.push(values.join(" ") + "\n");
  console.error = () => {};
  let end: unknown = null;
  try {
    await lopperProgram().parseAsync([...args, ...oneThread(args)], { from: "user" });
  } catch (thrown) {
    end = thrown;
  } finally {
    Object.assign(console, { log, error });
  }
  return { stdout: printed.join(""), error: end };
}

/** What a command prints, which ends well. */
export async function doneHere(args: readonly string[]): Promise<string> {
  const { stdout, error } = await runHere(args);
  if (error !== null) throw error;
  return stdout;
}

/**
 * A command says why it ends in a sentence, and nothing else; as a process it would end with this
 * code.
 */
export async function failsHere(args: readonly string[], code: 1 | 2, message: RegExp) {
  const { stdout, error } = await runHere(args);
  const what = args.join(" ");
  assert.ok(error instanceof LopperError || error instanceof CommanderError, `${what}: ${error}`);
  assert.match(error.message, message);
  assert.doesNotMatch(error.message, /^\s+at /m, "no stack trace for a user's mistake");
  const isUsage = error instanceof UsageError || error instanceof CommanderError;
  assert.equal(isUsage ? 2 : 1, code, `${what}: ${error.message}`);
  assert.equal(stdout, "", what);
}
