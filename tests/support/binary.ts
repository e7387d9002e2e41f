import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileBinary, RuntimeMissingError } from "../../scripts/release/compile_binary.ts";
import { oneThread } from "./cli.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Compiles the command line for this system, into a file of this folder; false with a line that
 * says what is skipped where Deno's runtime is not to be had.
 */
export async function compileForTest(file: string, what: string): Promise<boolean> {
  const target = Deno.build.target;
  const runtime = await runtimeOfWheel(`${file}.denort`);
  try {
    await compileBinary(file, {
      target,
      deno: runtime?.deno ?? Deno.execPath(),
      env: runtime?.env,
    });
    return true;
  } catch (error) {
    if (!(error instanceof RuntimeMissingError)) throw error;
    console.log(
      `skipped: ${what} needs Deno's runtime for binaries, which could not be downloaded; ` +
        "LOPPER_VENV_BINARY names a folder with scripts/oracles/requirements-binary.txt installed",
    );
    return false;
  }
}

/** A runtime cut from a program that was compiled with it, and the Deno that goes with it. */
async function runtimeOfWheel(file: string) {
  const venv = Deno.env.get("LOPPER_VENV_BINARY") ?? join(ROOT, ".venv-binary");
  const program = await Deno.readFile(join(venv, "bin/bids-validator-deno")).catch(() => null);
  if (program === null) return null;
  await Deno.writeFile(file, program.subarray(0, endOfElf(program)), { mode: 0o755 });
  return { deno: join(venv, "bin/deno"), env: { DENORT_BIN: file } };
}

/** What comes after it was put there by `deno compile`. */
function endOfElf({ buffer, byteOffset }: Uint8Array<ArrayBuffer>): number {
  const header = new DataView(buffer, byteOffset);
  // The table of sections is the last part: where it begins, the size of a row, and how many.
  const rows = header.getUint16(0x3a, true) * header.getUint16(0x3c, true);
  return Number(header.getBigUint64(0x28, true)) + rows;
}

/** Starts a binary on a machine that has nothing else: no variable but the user's folder. */
export function startBinary(
  binary: string,
  home: string,
  args: readonly string[],
  cwd: string,
): Deno.ChildProcess {
  return new Deno.Command(binary, {
    args: [...args, ...oneThread(args)],
    cwd,
    clearEnv: true,
    env: { HOME: home },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}
