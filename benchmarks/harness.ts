/**
 * What every benchmark shares: fresh processes in alternating order, raw rounds kept, and where
 * they were taken.
 */
export { mean, median } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { openTokenizer } from "@lopper/tokenizers";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = new URL("../", import.meta.url);
export const DEMO = fileURLToPath(new URL("packages/demo-model/data/model", ROOT));
const CALIBRATION = new URL("packages/demo-model/data/calibration.jsonl", ROOT);
const MAIN = fileURLToPath(new URL("apps/cli/main.ts", ROOT));

/** The path of a file of this folder. */
export function here(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

/** Whether there is a file or folder. */
export async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

export interface ProcessOptions {
  readonly env?: Record<string, string>;
  /** After so many seconds the process is killed. */
  readonly limitSeconds?: number;
}

/** A process ran into its limit of time. */
export class TimeLimitError extends Error {
  override name = "TimeLimitError";
}

/**
 * What a process printed.
 * @throws {Error} with what it wrote to standard error, when it fails.
 * @throws {TimeLimitError} when it had to be killed.
 */
export async function output(
  command: string,
  args: readonly string[],
  { env, limitSeconds }: ProcessOptions = {},
): Promise<string> {
  const cwd = fileURLToPath(ROOT);
  const process = new Deno.Command(command, {
    args: [...args],
    env,
    cwd,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let late = false;
  const timer = limitSeconds && setTimeout(() => {
    late = true;
    process.kill("SIGKILL");
  }, limitSeconds * 1000);
  const { success, stdout, stderr } = await process.output();
  if (timer) clearTimeout(timer);
  if (late) throw new TimeLimitError(`${command} ${args.join(" ")}: over ${limitSeconds} s`);
  if (!success) {
    throw new Error(`${command} ${args.join(" ")}:\n${new TextDecoder().decode(stderr)}`);
  }
  return new TextDecoder().decode(stdout).trim();
}

/** Runs a script of this folder in a process of its own. */
export function script(
  file: string,
  args: readonly string[],
  options?: ProcessOptions,
): Promise<string> {
  return output(Deno.execPath(), ["run", "--quiet", "--allow-all", here(file), ...args], options);
}

/** Runs Lopper's command line in a process of its own. */
export function lopper(args: readonly string[]): Promise<string> {
  return output(Deno.execPath(), ["run", "--quiet", "--allow-all", MAIN, ...args]);
}

export interface Variant<R> {
  readonly name: string;
  run(): Promise<R>;
}

/** The rounds of a variant, as they came. */
export interface Rounds<R> {
  readonly name: string;
  readonly rounds: readonly R[];
}

/** Runs all variants once a round, every second round in the opposite order. */
export async function alternate<R>(
  variants: readonly Variant<R>[],
  rounds: number,
): Promise<readonly Rounds<R>[]> {
  const results = variants.map((variant) => ({ variant, rounds: [] as R[] }));
  for (let round = 0; round < rounds; round++) {
    for (const { variant, rounds } of round % 2 === 0 ? results : results.toReversed()) {
      console.error(`round ${round + 1}: ${variant.name}`);
      rounds.push(await variant.run());
    }
  }
  return results.map(({ variant: { name }, rounds }) => ({ name, rounds }));
}

/** The code, the day and the machine of a measurement. */
export async function provenance() {
  const git = (...args: string[]) => output("git", args).catch(() => "unknown");
  const cpu = (await Deno.readTextFile("/proc/cpuinfo").catch(() => ""))
    .match(/model name\s*: (.*)/)?.[1] ?? "unknown";
  return {
    commit: await git("rev-parse", "HEAD"),
    uncommitted: (await git("status", "--porcelain", "packages", "apps")) !== "",
    date: new Date().toISOString().slice(0, 10),
    machine: { cpu, cores: navigator.hardwareConcurrency, deno: Deno.version.deno },
  };
}

/** Writes results/NAME.json: what was run, where, and every round. */
export async function save(name: string, data: Record<string, unknown>): Promise<void> {
  const report = {
    // Where things lie on one machine says nothing to another.
    command: `deno task bench ${Deno.args.map((arg) => basename(arg)).join(" ")}`,
    ...await provenance(),
    ...data,
  };
  const file = new URL(`results/${name}.json`, import.meta.url);
  await Deno.mkdir(new URL(".", file), { recursive: true });
  await Deno.writeTextFile(file, JSON.stringify(report, null, 1) + "\n");
}

export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly unknown[])[],
): string {
  const line = (cells: readonly unknown[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Prints a Markdown table. */
export function printTable(head: readonly string[], rows: readonly (readonly unknown[])[]) {
  console.log(markdownTable(head, rows));
}

/** Samples of the calibration text that Lopper comes with. */
export async function samples(from: number, to: number): Promise<readonly string[]> {
  const lines = (await Deno.readTextFile(CALIBRATION)).split("\n").filter((line) => line !== "");
  return lines.slice(from, to).map((line) => JSON.parse(line).text);
}

/** The first `count` token ids of that text under a model's tokenizer, in sequences of `length`. */
export async function tokenIds(model: string, count: number, length: number): Promise<number[][]> {
  using tokenizer = await openTokenizer(new FileFolder(model));
  const ids = await tokenizer.encode((await samples(0, Infinity)).join("\n\n"));
  if (ids.length < count) throw new Error(`${ids.length} tokens of text, and ${count} are needed`);
  return Array.from({ length: count / length }, (_, s) => ids.slice(s * length, (s + 1) * length));
}

/** Runs `body` in a folder that is removed afterwards. */
export async function inTemporaryFolder<T>(body: (path: string) => Promise<T>): Promise<T> {
  const path = await Deno.makeTempDir({ prefix: "lopper-bench-" });
  try {
    return await body(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}
