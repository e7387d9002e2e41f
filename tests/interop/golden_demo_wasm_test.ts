import { inTemporaryFolder } from "../support/cli.ts";
import { checkGoldenCase } from "../support/golden.ts";

// Minutes, where the native engine takes half of one.
Deno.test("golden: lopper-demo on wasm decides as published", () =>
  inTemporaryFolder((folder) => checkGoldenCase("lopper-demo", "wasm", 1e-4, folder)));
