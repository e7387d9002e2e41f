import * as ort from "onnxruntime-web";
import { ATTENTION_OPS } from "./attention_ops.ts";
import type { Backend, BackendDescription } from "./backend.ts";
import { type Ort, OrtBackend, type SessionOptions } from "./ort.ts";

/** 2³² bytes: the address space of wasm32. */
const WASM32_BYTES = 4 * 1024 ** 3;

/** What onnxruntime's WebAssembly build is on so many threads. */
export function describeWebEngine(threads: number): BackendDescription {
  return {
    name: "wasm",
    engine: `onnxruntime-web ${ort.env.versions.web ?? ort.env.versions.common}`,
    threads,
    engines: threads,
    attentionOp: ATTENTION_OPS.wasm,
    logSoftmax: true,
    residentWeights: false,
    memoryLimitBytes: WASM32_BYTES,
  };
}

/**
 * onnxruntime's WebAssembly engine with SIMD, in the thread that calls it. Its own threads are left
 * alone: they share memory that grows while they run, and one that misses its growth dies unheard,
 * while the main one waits for it for ever (onnxruntime-web 1.30.0).
 * @param compiling how sessions are made, where that is to differ from how users have them.
 */
export function openWebEngine(compiling: SessionOptions = {}): Backend {
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal";
  return new OrtBackend(
    ort as unknown as Ort,
    describeWebEngine(1),
    { executionProviders: ["wasm"], logSeverityLevel: 4, ...compiling },
  );
}
