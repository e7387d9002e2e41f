import { resolve } from "node:path";
import { ALL_PERMISSIONS, denoFlags } from "../../apps/cli/permissions.ts";
import { done } from "./done.ts";
import { copyFile } from "./folders.ts";
import { LICENCES, stageProgram } from "./stage.ts";
import { TARGETS } from "./targets.ts";

export interface BinaryOptions {
  /** By Deno's name. */
  readonly target: string;
  /** The Deno that compiles, whose runtime the binary has. */
  readonly deno: string;
  /** Variables of the environment beside those of this process: `DENORT_BIN` names a runtime. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Makes the command line one file, with all that it needs in it; the licences go beside it. */
export async function compileBinary(out: string, options: BinaryOptions): Promise<void> {
  const { target } = options;
  const stage = await Deno.makeTempDir({ prefix: "lopper-stage-" });
  try {
    await stageProgram(stage, { kind: "binary", target, system: TARGETS[target] });
    await compileStage(stage, out, options);
    await copyFile(`${stage}/${LICENCES}`, `${out}.${LICENCES}`);
  } finally {
    await Deno.remove(stage, { recursive: true });
  }
}

/** Compiles what was staged. */
export async function compileStage(
  stage: string,
  out: string,
  { target, deno, env }: BinaryOptions,
): Promise<void> {
  // What a runtime caches of a program lies where others may write.
  const how = ["--quiet", "--no-check", "--no-lock", "--no-code-cache", "--include", "."];
  const may = denoFlags(ALL_PERMISSIONS);
  const where = ["--target", target, "--output", resolve(out)];
  try {
    await done(deno, ["compile", ...how, ...may, ...where, "main.js"], stage, env);
  } catch (error) {
    throw withoutRuntime(error) ?? error;
  }
}

/** Deno downloads its runtime when it compiles for a system first. */
function withoutRuntime(error: unknown): Error | null {
  const url = /error sending request for url \((\S*denort\S*)\)/.exec(String(error))?.[1];
  if (url === undefined) return null;
  const sentence = `Deno's runtime could not be downloaded from ${url}; without a network, ` +
    "DENORT_BIN names that file, unpacked";
  return new RuntimeMissingError(sentence, { cause: error });
}

/** What a binary is made of besides the program is not to be had. */
export class RuntimeMissingError extends Error {}
