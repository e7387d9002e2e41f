import { BackendUnavailableError } from "@lopper/core";
import assert from "node:assert/strict";
import { missingCudaFiles } from "./cuda_library.ts";
import { type BackendName, openBackend } from "./open_backend.ts";
import { type ConformanceOptions, testBackend } from "./testing/conformance.ts";

const BACKENDS: [BackendName, ConformanceOptions][] = [
  // no float32 kernel
  ["cuda", { refuses: ["gqa"] }],
  // wrong on some devices; no kernel
  ["webgpu", { refuses: ["gqa", "attention"] }],
];

const works = new Set<BackendName>();

for (const [name, options] of BACKENDS) {
  const open = async () => (await openBackend(name, {})).backend;
  const refusal = await open().then(
    (backend) => backend[Symbol.asyncDispose](),
    (error: unknown) => error,
  );
  if (refusal === undefined) {
    works.add(name);
    testBackend(name, open, options);
    continue;
  }
  if (refusal instanceof Error) console.log(`skipped: conformance of ${name}: ${refusal.message}`);
  Deno.test({
    name: `${name}: where it does not work it is refused in one sentence, every time`,
    // The engine keeps a thread pool for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const checkError = (error: unknown) => {
        assert.ok(error instanceof BackendUnavailableError, String(error));
        assert.equal(error.backend, name);
        assert.match(error.message, /^backend \w+ cannot be opened: .+; it needs [^\n]+[^.\n]$/);
        return true;
      };
      checkError(refusal);
      await assert.rejects(open(), checkError);
    },
  });
}

Deno.test({
  name:
    "auto: takes a CUDA device, never a WebGPU device, and is silent on a provider that nobody installed",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { backend, skipped } = await openBackend("auto", {});
    assert.equal(backend.description.name, works.has("cuda") ? "cuda" : "cpu");
    const tried = !works.has("cuda") && missingCudaFiles().length === 0;
    assert.deepEqual(skipped.map(({ name }) => name), tried ? ["cuda"] : []);
    for (const { reason } of skipped) assert.doesNotMatch(reason, /cannot be opened/);
    await backend[Symbol.asyncDispose]();
  },
});
