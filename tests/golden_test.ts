import { inTemporaryFolder } from "./support/cli.ts";
import { checkGoldenCase } from "./support/golden.ts";
import { replayGoldenCase } from "./support/golden_replay.ts";

/** Bars of the published comparison: float32 sums in another order, and WebAssembly's kernels. */
const TOLERANCE = { cpu: 5e-5, wasm: 1e-4 } as const;
/** The engines keep what they loaded for the life of the process. */
const KEEPS = { sanitizeOps: false, sanitizeResources: false } as const;

for (const name of ["tiny-llama-mha", "tiny-qwen2-gqa"]) {
  for (const backend of ["cpu", "wasm"] as const) {
    Deno.test({
      name: `golden: ${name} on ${backend} decides as published`,
      ...KEEPS,
      fn: () =>
        inTemporaryFolder((folder) => checkGoldenCase(name, backend, TOLERANCE[backend], folder)),
    });
  }
}

// All of its steps take a minute: tests/interop has them. The last of the blocks, the widths and the
// heads are of plans that all steps before have led to.
Deno.test({
  name: "golden: lopper-demo decides as published, scored where blocks, widths and heads end",
  ...KEEPS,
  fn: () => replayGoldenCase("lopper-demo", [3, 15, 18], TOLERANCE.cpu),
});
