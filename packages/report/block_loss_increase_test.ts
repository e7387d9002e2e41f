import type { History } from "@lopper/search";
import assert from "node:assert/strict";
import { blockLossIncreases } from "./block_loss_increase.ts";
import { HISTORY, tinyRun } from "./testing/run.ts";

const { record } = tinyRun();

Deno.test("loss increase: a candidate is compared with the model before, on the passages that both were scored on", () => {
  const [first] = blockLossIncreases({
    ...HISTORY,
    evidence: HISTORY.evidence.filter((line) => line.type !== "score" || line.step === 0),
  }, record);
  assert.deepEqual([first.layer, first.kind, first.passages, first.step], [0, "mlp", 2, 1]);
  assert.ok(Math.abs(first.increase - 1) < 1e-12);
});

Deno.test("loss increase: what a step took is the model before the next one, on the same samples only", () => {
  const lossIncreases = blockLossIncreases(HISTORY, record);
  const of = (kind: string, layer: number) =>
    lossIncreases.find((lossIncrease) =>
      lossIncrease.kind === kind && lossIncrease.layer === layer
    )!.increase;
  // step 3 has no line of its own for the model before: 2.08 − 1.98 and 4.06 − 4.00
  assert.ok(Math.abs(of("kvGroups", 0) - 0.08) < 1e-12);
  // step 2 is scored on other samples than step 1; without its own line there is nothing to compare
  // with
  const evidence = HISTORY.evidence.filter((line) =>
    line.type !== "score" || line.step !== 1 || line.of !== "base"
  );
  assert.ok(!blockLossIncreases({ ...HISTORY, evidence }, record).some(({ step }) => step === 2));
});

Deno.test("loss increase: the first step of the exhaustive search is compared with the dense model's perplexity", () => {
  const evidence = HISTORY.evidence.filter((line) => line.type !== "score" || line.of !== "base");
  const lossIncrease = blockLossIncreases({ ...HISTORY, evidence }, record)
    .find(({ kind, layer }) => kind === "mlp" && layer === 1)!;
  assert.ok(Math.abs(lossIncrease.increase - (3.02 - Math.log(20))) < 1e-12);
});

Deno.test("loss increase: what a step left is no measure any more where a swap changed it", () => {
  const swap: History["swaps"][number] = {
    type: "swap",
    steps: 2,
    restored: "2.mlp channels→64",
    removed: null,
    ratio: 12,
    before: [3],
    after: [2.9],
    validation: null,
    kept: [],
    cost: { blockTokens: 1, seconds: 1 },
  };
  const third = (kept: boolean) =>
    blockLossIncreases({ ...HISTORY, swaps: [{ ...swap, kept: kept ? [] : null }] }, record).filter(
      (
        { step },
      ) => step === 3,
    );
  assert.deepEqual([third(false).length, third(true).length], [1, 0]);
});
