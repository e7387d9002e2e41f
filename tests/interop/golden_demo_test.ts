import { inTemporaryFolder } from "../support/cli.ts";
import { checkGoldenCase } from "../support/golden.ts";

// A minute, and on wasm some. The gate scores some of the steps.
for (const [backend, tolerance] of [["cpu", 5e-5], ["wasm", 1e-4]] as const) {
  Deno.test(`golden: lopper-demo on ${backend} decides as published`, () =>
    inTemporaryFolder((folder) => checkGoldenCase("lopper-demo", backend, tolerance, folder)));
}
