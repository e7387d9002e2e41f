import assert from "node:assert/strict";
import process from "node:process";
import { calledFrom } from "../../apps/cli/shared/inputs/paths.ts";
import { lopperProgram } from "../../apps/cli/program.ts";
import { tellError } from "../../apps/cli/run_process.ts";
import { type CommandResult, NO_HUB, oneThread } from "./cli.ts";

/** What is printed belongs to one command at a time. */
let turn: Promise<unknown> = Promise.resolve();

interface Said extends CommandResult {
  /** What it ended in; null where it ended well. */
  readonly thrown: unknown;
}

/**
 * Runs a command in this process, and says what one of its own would have said: to start that takes
 * longer than most refusals, and than to prune a tiny model. It may do what the tests may.
 * @param folder where the user stands; without it, as the process does.
 * @param variables of the user's environment, beside those of the tests.
 */
export function runHere(
  args: readonly string[],
  folder?: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<Said> {
  const caller = { folder, variables: { ...NO_HUB, ...variables } };
  const result = turn.then(() => calledFrom(caller, () => said(args)));
  turn = result;
  return result;
}

async function said(args: readonly string[]): Promise<Said> {
  const printed: string[] = [], told: string[] = [];
  const { log, error } = console;
  const { write } = process.stdout;
  const line = (values: readonly unknown[]) => values.join(" ") + "\n";
  console.log = (...values: unknown[]) => void printed.push(line(values));
  console.error = (...values: unknown[]) => void told.push(line(values));
  process.stdout.write = ((piece: string, done?: () => void) => {
    printed.push(piece);
    done?.();
    return true;
  }) as typeof write;
  let code = 0, thrown: unknown = null;
  try {
    await lopperProgram().parseAsync([...args, ...oneThread(args)], { from: "user" });
  } catch (found) {
    code = tellError(found);
    if (code !== 0) thrown = found;
  } finally {
    Object.assign(console, { log, error });
    process.stdout.write = write;
  }
  return { code, stdout: printed.join(""), stderr: told.join(""), thrown };
}

/**
 * What a command prints, which ends well.
 * @throws what it ended in.
 */
export async function doneHere(args: readonly string[], folder?: string): Promise<string> {
  const { stdout, thrown } = await runHere(args, folder);
  if (thrown !== null) throw thrown;
  return stdout;
}

/** A command ends with this code, and says why in a sentence, and nothing else. */
export async function failsHere(
  args: readonly string[],
  code: 1 | 2,
  message: RegExp,
  folder?: string,
) {
  const { stdout, stderr, ...end } = await runHere(args, folder);
  const what = args.join(" ");
  assert.equal(end.code, code, `${what}: ${stderr}`);
  assert.match(stderr, message);
  assert.doesNotMatch(stderr, /^\s+at |fault in Lopper/m, "no stack trace for a user's mistake");
  assert.equal(stdout, "", what);
}
