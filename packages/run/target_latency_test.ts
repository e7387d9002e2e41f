import { type LatencyTable, type ModelSpec, ResumeError } from "@lopper/core";
import assert from "node:assert/strict";
import { checkLatencies } from "./target_latency.ts";

Deno.test("latencies: those of a model with other attention are not of this run", () => {
  const curve = { sizes: [1, 2], ms: [1, 2] };
  const table: LatencyTable = {
    ...{ pastTokens: 8, rounds: 9, rest: 1, mlp: curve },
    attention: [{ ...curve, groupSize: 3 }],
  };
  const spec = (queryHeads: number) => ({
    layers: [{ attention: null, mlp: null }, { attention: { queryHeads, kvHeads: 2 }, mlp: null }],
  } as unknown as ModelSpec);
  checkLatencies(table, spec(6));
  assert.throws(() => checkLatencies(table, spec(4)), (error) => {
    assert.ok(error instanceof ResumeError, String(error));
    assert.match(error.message, /no attention with 2 query heads for a KV head/);
    return true;
  });
});
