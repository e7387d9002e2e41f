import { inTemporaryFolder } from "../support/cli.ts";
import { checkGoldenCase } from "../support/golden.ts";

// 50 s on cpu and 190 s on wasm, of processor time: each has one thread, as in all tests. The gate
// scores some of the steps.
for (const [backend, tolerance] of [["cpu", 5e-5], ["wasm", 1e-4]] as const) {
  Deno.test(`golden: lopper-demo on ${backend} decides as published`, () =>
    inTemporaryFolder((folder) => checkGoldenCase("lopper-demo", backend, tolerance, folder)));
}
