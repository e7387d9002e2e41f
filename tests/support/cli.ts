import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { ALL_PERMISSIONS, denoFlags, PERMISSIONS } from "../../apps/cli/permissions.ts";

const ROOT = new URL("../../", import.meta.url);
const MAIN = fileURLToPath(new URL("apps/cli/main.ts", ROOT));
/**
 * Commands that run a model. Test files run side by side, and engines with as many threads as there
 * are cores wait for each other more than they compute.
 */
const THREADED = ["prune", "evaluate", "compare", "generate", "export", "worker"];
/** No test reaches the real hub, or finds what a developer's cache has. */
export const NO_HUB = {
  HF_ENDPOINT: "http://127.0.0.1:9",
  HF_HOME: "/nonexistent",
  HF_HUB_CACHE: "",
  HF_TOKEN: "",
  HF_HUB_OFFLINE: "",
};

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What to add to a command that runs a model and does not say how many threads. */
export function oneThread(args: readonly string[]): readonly string[] {
  return THREADED.includes(args[0]) && !args.includes("--threads") ? ["--threads", "1"] : [];
}

/** Starts the command line as a process of its own. */
export function startLopper(
  args: readonly string[],
  cwd = ".",
  env: Readonly<Record<string, string>> = {},
): Deno.ChildProcess {
  // Those of its task in deno.json: a command that needs more must fail here, too.
  const allowed = denoFlags(PERMISSIONS[args[0]] ?? ALL_PERMISSIONS);
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--cached-only", ...allowed, MAIN, ...args, ...oneThread(args)],
    cwd,
    // Where the user stands is the folder of the process, whoever started the tests.
    env: { INIT_CWD: Deno.realPathSync(cwd), NO_COLOR: "1", ...NO_HUB, ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

export async function runLopper(
  args: readonly string[],
  cwd = ".",
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const { code, stdout, stderr } = await startLopper(args, cwd, env).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

/** What a command prints, which ends well. */
export async function done(args: readonly string[], folder: string): Promise<string> {
  const { code, stdout, stderr } = await runLopper(args, folder);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** A command ends with this code, and says why in a sentence. */
export async function fails(
  args: readonly string[],
  folder: string,
  code: number,
  message: RegExp,
) {
  const result = await runLopper(args, folder);
  assert.equal(result.code, code, `${args.join(" ")}: ${result.stderr}`);
  assert.match(result.stderr, message);
  assert.doesNotMatch(result.stderr, /^\s+at /m, "no stack trace for a user's mistake");
}

/** Runs `body` in a folder that is removed afterwards. */
export async function inTemporaryFolder(body: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "lopper-test-" });
  try {
    await body(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

/**
 * The first paragraphs of the embedded held-out text: all of it takes longer to measure than a
 * short search does.
 */
export const HELD_OUT = fileURLToPath(new URL("../fixtures/held_out.txt", import.meta.url));
/**
 * Settings with which the embedded model is pruned in a few seconds, in the same batches however
 * much memory is free: tests run side by side.
 */
export const QUICK = [
  ...["--memory", "2GB"],
  ...["--samples", "3", "--width-samples", "2", "--seq-len", "64"],
  ...["--held-out", HELD_OUT],
] as const;
/** The same, without what Lopper's own settings look at and refit. */
export const PUBLISHED = [...QUICK, "--preset", "multipruner"] as const;
