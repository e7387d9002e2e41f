import type { History } from "@lopper/search";
import assert from "node:assert/strict";
import { blockDamage } from "./block_damage.ts";
import { HISTORY, tinyRun } from "./testing/run.ts";

const { record } = tinyRun();

Deno.test("damage: a candidate is compared with the model before, on the passages that both were scored on", () => {
  const [first] = blockDamage({
    ...HISTORY,
    evidence: HISTORY.evidence.filter((line) => line.type !== "score" || line.step === 0),
  }, record);
  assert.deepEqual([first.layer, first.kind, first.passages, first.step], [0, "mlp", 2, 1]);
  assert.ok(Math.abs(first.increase - 1) < 1e-12);
});

Deno.test("damage: what a step took is the model before the next one, on the same samples only", () => {
  const damages = blockDamage(HISTORY, record);
  const of = (kind: string, layer: number) =>
    damages.find((damage) => damage.kind === kind && damage.layer === layer)!.increase;
  // step 3 has no line of its own for the model before: 2.08 − 1.98 and 4.06 − 4.00
  assert.ok(Math.abs(of("kvGroups", 0) - 0.08) < 1e-12);
  // step 2 is scored on other samples than step 1; without its own line there is nothing to compare with
  const evidence = HISTORY.evidence.filter((line) =>
    line.type !== "score" || line.step !== 1 || line.of !== "base"
  );
  assert.ok(!blockDamage({ ...HISTORY, evidence }, record).some(({ step }) => step === 2));
});

Deno.test("damage: the first step of the exhaustive search is compared with the dense model's perplexity", () => {
  const evidence = HISTORY.evidence.filter((line) => line.type !== "score" || line.of !== "base");
  const damage = blockDamage({ ...HISTORY, evidence }, record)
    .find(({ kind, layer }) => kind === "mlp" && layer === 1)!;
  assert.ok(Math.abs(damage.increase - (3.02 - Math.log(20))) < 1e-12);
});

Deno.test("damage: what a step left is no measure any more where a swap changed it", () => {
  const swap: History["swaps"][number] = {
    type: "swap",
    steps: 2,
    restored: "2.mlp channels→64",
    removed: null,
    ratio: 12,
    before: [3],
    after: [2.9],
    aside: null,
    kept: [],
    cost: { blockTokens: 1, seconds: 1 },
  };
  const third = (kept: boolean) =>
    blockDamage({ ...HISTORY, swaps: [{ ...swap, kept: kept ? [] : null }] }, record).filter((
      { step },
    ) => step === 3);
  assert.deepEqual([third(false).length, third(true).length], [1, 0]);
});
