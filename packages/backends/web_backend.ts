import * as ort from "onnxruntime-web";
import type { Backend, BackendOptions } from "./backend.ts";
import { type Ort, OrtBackend } from "./ort.ts";

/** 2³² bytes: the address space of wasm32. */
const WASM32_BYTES = 4 * 1024 ** 3;

/**
 * With more than one thread onnxruntime-web 1.30.0 sometimes stops for good in Deno while the machine is busy (1 of 20
 * processes in a stress test): the main thread spins in a run that never ends, and cannot even be interrupted. More
 * threads are there for whoever asks.
 */
const DEFAULT_THREADS = 1;

/**
 * onnxruntime's WebAssembly engine (SIMD, threads): no native code, needs only the permission to read.
 * The thread count of the engine is fixed by the first session in a process.
 */
export function openWebBackend(
  { threads = DEFAULT_THREADS }: BackendOptions,
): Promise<Backend> {
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "fatal";
  const backend = new OrtBackend(
    ort as unknown as Ort,
    {
      name: "wasm",
      engine: `onnxruntime-web ${ort.env.versions.web ?? ort.env.versions.common}`,
      threads,
      attentionOp: "attention",
      logSoftmax: true,
      residentWeights: false,
      memoryLimitBytes: WASM32_BYTES,
    },
    { executionProviders: ["wasm"], logSeverityLevel: 4 },
  );
  return Promise.resolve(backend);
}
