import { BACKEND_NAMES, type BackendName, openBackend } from "@lopper/backends";
import type { Backend } from "@lopper/backends";
import { UsageError } from "@lopper/core";
import { Option } from "commander";
import { wholeNumber } from "./options.ts";

/** Names that --backend takes. */
export const BACKEND_CHOICES = ["auto", ...BACKEND_NAMES] as const;
/** For the help text. */
export const BACKEND_HELP = `${BACKEND_CHOICES.slice(0, -1).join(", ")} or ${
  BACKEND_CHOICES.at(-1)
}`;

/** Threads that the engine may have: on more than a few for each core they only wait for each other, and each takes memory. */
export const MAX_THREADS = Math.max(8, 4 * navigator.hardwareConcurrency);

/** Option --threads of whatever runs a model. */
export function threadsOption(): Option {
  return new Option("--threads <n>", "threads (default: all on cpu, 1 on wasm)")
    .argParser(
      wholeNumber(1, MAX_THREADS, `this machine has ${navigator.hardwareConcurrency} cores`),
    );
}

/** Opens the backend that the user asked for; says what "auto" passed over. */
export async function openUserBackend(
  name: string,
  threads: number | undefined,
  say: (message: string) => void,
): Promise<Backend> {
  if (!(BACKEND_CHOICES as readonly string[]).includes(name)) {
    throw new UsageError(
      `--backend is ${JSON.stringify(name)}; it needs to be ${BACKEND_CHOICES.join(", ")}`,
    );
  }
  const opened = await openBackend(name as BackendName | "auto", { threads });
  for (const { name, reason } of opened.skipped) say(`backend ${name} does not load: ${reason}`);
  return opened.backend;
}
