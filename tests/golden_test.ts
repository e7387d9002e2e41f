import { inTemporaryFolder } from "./support/cli.ts";
import { checkGoldenCase } from "./support/golden.ts";

/** Bars of the published comparison: float32 sums in another order, and WebAssembly's kernels. */
const TOLERANCE = { cpu: 5e-5, wasm: 1e-4 } as const;

const CASES = [
  ["tiny-llama-mha", "cpu"],
  ["tiny-llama-mha", "wasm"],
  ["tiny-qwen2-gqa", "cpu"],
  ["tiny-qwen2-gqa", "wasm"],
  ["lopper-demo", "cpu"],
] as const;

for (const [name, backend] of CASES) {
  Deno.test({
    name: `golden: ${name} on ${backend} decides as published`,
    // The engines keep what they loaded for the life of the process.
    ...{ sanitizeOps: false, sanitizeResources: false },
    fn: () =>
      inTemporaryFolder((folder) => checkGoldenCase(name, backend, TOLERANCE[backend], folder)),
  });
}
