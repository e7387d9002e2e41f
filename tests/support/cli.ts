import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);
const MAIN = fileURLToPath(new URL("apps/cli/main.ts", ROOT));
/** The permissions of the tasks in deno.json: a command that needs more must fail here, too. */
const PERMISSIONS = ["read", "write", "ffi", "env", "sys"].map((p) => `--allow-${p}`);

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the command line as a process of its own. */
export function startLopper(args: readonly string[], cwd = "."): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--cached-only", ...PERMISSIONS, MAIN, ...args],
    cwd,
    // Where the user stands is the folder of the process, whoever started the tests.
    env: { INIT_CWD: Deno.realPathSync(cwd), NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

export async function runLopper(args: readonly string[], cwd = "."): Promise<Finished> {
  const { code, stdout, stderr } = await startLopper(args, cwd).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
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

/** Settings with which the embedded model is pruned in a few seconds. */
export const QUICK = ["--samples", "3", "--width-samples", "2", "--seq-len", "64"] as const;
