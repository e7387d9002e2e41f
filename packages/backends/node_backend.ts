import { ATTENTION_OPS } from "./attention_ops.ts";
import type { Backend, BackendOptions } from "./backend.ts";
import { ENGINE, ort } from "./node_engine.ts";
import { OrtBackend, type SessionOptions } from "./ort.ts";

/**
 * onnxruntime's native CPU engine. Needs the permissions to read and to load native code
 * (`--allow-ffi`).
 */
export function openNodeBackend(
  { threads = navigator.hardwareConcurrency }: BackendOptions,
): Promise<Backend> {
  return Promise.resolve(nodeEngine(threads));
}

/** @param compiling how sessions are made, where that is to differ from how users have them. */
export function nodeEngine(threads: number, compiling: SessionOptions = {}): Backend {
  return new OrtBackend(
    ort,
    {
      name: "cpu",
      engine: ENGINE,
      threads,
      engines: 1,
      attentionOp: ATTENTION_OPS.cpu,
      logSoftmax: true,
      residentWeights: false,
      memoryLimitBytes: null,
    },
    {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      // A plan of memory for every shape that was run: candidates have many, and what each was
      // given as a whole stays in pieces (a sixth of the memory of the embedded model's run).
      enableMemPattern: false,
      logSeverityLevel: 4,
      extra: {
        // Several sessions take turns here. Without this the pools of idle ones keep spinning on
        // the cores that the running one needs (4 times slower over a chain of 60 sessions).
        "session.force_spinning_stop": "1",
        // Attention weights far from the largest are denormal numbers, with which some processors
        // multiply many times slower (a third of the time of attention on an Intel Xeon). The
        // switch also holds for this JavaScript thread: what must not change, such as the bytes of
        // a weight, has to be copied as bytes.
        "session.set_denormal_as_zero": "1",
      },
      ...compiling,
    },
  );
}
