import { UnsupportedModelError } from "@lopper/core";
import type { Backend, BackendOptions } from "./backend.ts";

/** The backends by their name on the command line, best first. Each loads its engine only when it is opened. */
const OPENERS = {
  cpu: async (options: BackendOptions) =>
    (await import("./node_backend.ts")).openNodeBackend(options),
  wasm: async (options: BackendOptions) =>
    (await import("./web_backend.ts")).openWebBackend(options),
} as const;

export type BackendName = keyof typeof OPENERS;
export const BACKEND_NAMES = Object.keys(OPENERS) as readonly BackendName[];

/** Engines that Lopper knows of and does not drive yet. */
export const PLANNED_BACKENDS: readonly string[] = ["cuda", "webgpu"];

export interface OpenedBackend {
  readonly backend: Backend;
  /** Backends that were tried first and why they could not be opened; for "auto" only. */
  readonly skipped: readonly { readonly name: BackendName; readonly reason: string }[];
}

/**
 * Opens a backend by name, or with "auto" the first that works. "Works" means that the engine loads on this machine;
 * an engine that fails later, on a graph or for want of memory, is never silently replaced.
 * @throws {UnsupportedModelError} when "auto" finds none.
 */
export async function openBackend(
  name: BackendName | "auto",
  options: BackendOptions,
): Promise<OpenedBackend> {
  if (name !== "auto") return { backend: await OPENERS[name](options), skipped: [] };
  const skipped: { name: BackendName; reason: string }[] = [];
  for (const candidate of BACKEND_NAMES) {
    try {
      return { backend: await OPENERS[candidate](options), skipped };
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).split("\n")[0];
      skipped.push({ name: candidate, reason });
    }
  }
  const reasons = skipped.map(({ name, reason }) => `${name}: ${reason}`).join("; ");
  throw new UnsupportedModelError(`no inference engine could be loaded here (${reasons})`);
}
