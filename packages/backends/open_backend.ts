import { BackendUnavailableError, UnsupportedModelError } from "@lopper/core";
import type { Backend, BackendOptions } from "./backend.ts";

/** The backends by their name on the command line. Each loads its engine only when it is opened. */
const OPENERS = {
  cpu: async (options: BackendOptions) =>
    (await import("./node_backend.ts")).openNodeBackend(options),
  wasm: async (options: BackendOptions) =>
    (await import("./web_backend.ts")).openWebBackend(options),
  cuda: async () => (await import("./gpu_backend.ts")).openCudaBackend(),
  webgpu: async () => (await import("./gpu_backend.ts")).openWebGpuBackend(),
} as const;

export type BackendName = keyof typeof OPENERS;
export const BACKEND_NAMES = Object.keys(OPENERS) as readonly BackendName[];

/**
 * What "auto" tries, best first. CUDA only where somebody put its provider beside onnxruntime-node,
 * for others it is no news that it does not load. WebGPU never: its device may be a driver that
 * computes on the CPU, slower than the CPU's own engine, and onnxruntime-node does not tell which
 * device it is.
 */
async function automatic(withDevices: boolean): Promise<readonly BackendName[]> {
  if (!withDevices) return PROCESSOR;
  const cuda = await import("./cuda_library.ts")
    .then(({ missingCudaFiles }) => missingCudaFiles().length === 0)
    // a browser has no files, and not every program has onnxruntime-node
    .catch(() => false);
  return cuda ? ["cuda", ...PROCESSOR] : PROCESSOR;
}

/** What runs on the processor, best first. */
const PROCESSOR = ["cpu", "wasm"] as const satisfies readonly BackendName[];

export interface OpenOptions extends BackendOptions {
  /** Whether "auto" may choose a GPU; it may, where this is left out. */
  readonly withDevices?: boolean;
}

export interface OpenedBackend {
  readonly backend: Backend;
  /** Backends that were tried first and why they could not be opened; for "auto" only. */
  readonly skipped: readonly { readonly name: BackendName; readonly reason: string }[];
}

/**
 * Opens a backend by name, or with "auto" the first that works. "Works" means that the engine loads
 * on this machine; an engine that fails later, on a graph or for want of memory, is never silently
 * replaced.
 * @throws {BackendUnavailableError} when the one that was asked for does not work here.
 * @throws {UnsupportedModelError} when "auto" finds none.
 */
export async function openBackend(
  name: BackendName | "auto",
  options: OpenOptions,
): Promise<OpenedBackend> {
  if (name !== "auto") return { backend: await OPENERS[name](options), skipped: [] };
  const skipped: { name: BackendName; reason: string }[] = [];
  for (const candidate of await automatic(options.withDevices ?? true)) {
    try {
      return { backend: await OPENERS[candidate](options), skipped };
    } catch (error) {
      skipped.push({ name: candidate, reason: reasonOf(error) });
    }
  }
  const reasons = skipped.map(({ name, reason }) => `${name}: ${reason}`).join("; ");
  throw new UnsupportedModelError(`no inference engine could be loaded here (${reasons})`);
}

function reasonOf(error: unknown): string {
  if (error instanceof BackendUnavailableError) return error.reason;
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}
