import type { Backend, BackendOptions } from "./backend.ts";
import { ENGINE, ort } from "./node_engine.ts";
import { OrtBackend } from "./ort.ts";

/** onnxruntime's native CPU engine. Needs the permissions to read and to load native code (`--allow-ffi`). */
export function openNodeBackend(
  { threads = navigator.hardwareConcurrency }: BackendOptions,
): Promise<Backend> {
  const backend = new OrtBackend(
    ort,
    {
      name: "cpu",
      engine: ENGINE,
      threads,
      attentionOp: "gqa",
      logSoftmax: true,
      residentWeights: false,
      memoryLimitBytes: null,
    },
    {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: 4,
      // Several sessions take turns here. Without this the pools of idle ones keep spinning on the cores that the
      // running one needs (4 times slower over a chain of 60 sessions).
      extra: { "session.force_spinning_stop": "1" },
    },
  );
  return Promise.resolve(backend);
}
