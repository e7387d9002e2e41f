import type { Backend, BackendOptions } from "./backend.ts";
import { EnginePool } from "./engines/engine_pool.ts";
import { describeWebEngine, openWebEngine } from "./web_engine.ts";

/**
 * onnxruntime's WebAssembly engine: no native code, needs only the permission to read. With one
 * thread it runs in the thread that opens it; with more, engines in as many other threads share out
 * the rows of each run.
 */
export function openWebBackend(
  { threads = navigator.hardwareConcurrency }: BackendOptions,
): Promise<Backend> {
  const backend = threads === 1 ? openWebEngine() : new EnginePool(describeWebEngine(threads));
  return Promise.resolve(backend);
}
