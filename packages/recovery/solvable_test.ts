import { UnsupportedModelError } from "@lopper/core";
import type { Decoder } from "@lopper/runtime";
import { tinyArchitecture } from "@lopper/search/testing";
import assert from "node:assert/strict";
import { refitAll } from "./refit_all.ts";
import { whyNotRefitted } from "./solvable.ts";

Deno.test("recovery: a layer norm behind a block is said to be in the way, and nothing is begun", async () => {
  const post = tinyArchitecture(1, { placement: "post", norm: "layer" });
  for (const change of [{}, { placement: "post" }, { norm: "layer" }] as const) {
    assert.equal(whyNotRefitted(tinyArchitecture(1, change)), null);
  }
  assert.match(whyNotRefitted(post)!, /behind that of block 0\.attention lies a layer norm/);
  const decoder = { architecture: post } as unknown as Decoder;
  const [model, texts, run] = [{ decoder }, {}, {}] as unknown as Parameters<typeof refitAll>;
  for (const way of ["auto", "both"] as const) {
    await assert.rejects(
      refitAll(model, texts, { ...run, way }).next(),
      (error) =>
        error instanceof UnsupportedModelError && error.message.startsWith(`--recover ${way} `),
    );
  }
});
