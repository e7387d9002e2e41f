import type { Backend, BackendOptions } from "./backend.ts";
import { EnginePool } from "./engines/engine_pool.ts";
import { describeWebEngine, openWebEngine } from "./web_engine.ts";

/**
 * onnxruntime's WebAssembly engine: no native code, needs only the permission to read. With several
 * threads, as many engines share out the rows of each run.
 */
export function openWebBackend(
  { threads = navigator.hardwareConcurrency }: BackendOptions,
): Promise<Backend> {
  const engine = openWebEngine();
  const alone = threads === 1;
  return Promise.resolve(alone ? engine : new EnginePool(engine, describeWebEngine(threads)));
}
