import { type LatencyTable, ResumeError } from "@lopper/core";
import { architectureOfLayers } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { checkLatencies } from "./target_latency.ts";

Deno.test("latencies: those of a model with other attention are not of this run", () => {
  const curve = { sizes: [1, 2], ms: [1, 2] };
  const table: LatencyTable = {
    ...{ pastTokens: 8, rounds: 9, rest: 1 },
    curves: [{ ...curve, kind: "attention", unitWidth: 48 }],
  };
  const blocks = (queryHeads: number) =>
    architectureOfLayers([
      { attention: null, mlp: null },
      { attention: { queryHeads, kvHeads: 2 }, mlp: null },
    ], { headDim: 16 }).blocks;
  checkLatencies(table, blocks(6));
  assert.throws(() => checkLatencies(table, blocks(4)), (error) => {
    assert.ok(error instanceof ResumeError, String(error));
    assert.match(error.message, /no attention with 32 channels in a unit/);
    return true;
  });
});
