import { UsageError } from "@lopper/core";
import { tinyArchitecture } from "@lopper/search/testing";
import assert from "node:assert/strict";
import { runFlags } from "./run_flags.ts";
import type { RunFlags } from "./schemas/flags.ts";
import { textNeeds } from "./texts.ts";

const ARCHITECTURE = tinyArchitecture(1);

function needs(given: Partial<RunFlags>) {
  const flags = runFlags(ARCHITECTURE, { samples: 8, widthSamples: 12, seqLen: 16, ...given });
  const { drawn, extraSamples } = textNeeds(flags, ARCHITECTURE);
  return [drawn, extraSamples];
}

Deno.test("texts: some is kept aside to judge by, and some learnt from, where a setting asks for it", () => {
  const plain = { recover: "none", swap: "none" } as const;
  // Weights rank by themselves; one rule needs nothing to be compared with.
  assert.deepEqual(needs({ ...plain, ranking: "l1" }), [12, 0]);
  assert.deepEqual(needs({ ...plain, ranking: "energy" }), [12, 80]);
  assert.deepEqual(needs({ ...plain, ranking: "compensated" }), [12, 80]);
  assert.deepEqual(needs({ ...plain, ranking: "auto" }), [24, 80]);
  assert.deepEqual(needs({ ...plain, ranking: "l1", recover: "auto" }), [24, 80]);
  assert.deepEqual(needs({ ...plain, ranking: "l1", swap: "auto" }), [24, 0]);
});

Deno.test("texts: sequences that the model does not take are refused", () => {
  assert.throws(
    () => needs({ seqLen: ARCHITECTURE.maxPositions + 1 }),
    (error) => error instanceof UsageError && /this model takes 64 tokens/.test(error.message),
  );
});
