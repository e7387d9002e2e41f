import { ResumeError } from "@lopper/core";
import { layersOfShape } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { multiPruner } from "../multi_pruner.ts";
import type { LayerLoss } from "../testing/fake_scorer.ts";
import { ARCHITECTURE, MODEL, search } from "../testing/fake_search.ts";

/** Two MLPs of four go. */
const POLICY = multiPruner(MODEL, {
  ratio: 30,
  distribution: [1, 0, 0],
  groups: { channels: 8, kvGroups: 8 },
});

const gone = (layers: Parameters<LayerLoss>[0]) =>
  layers.flatMap(({ attention, mlp }, i) => [
    ...(mlp ? [] : [i]),
    ...(attention ? [] : [`attention ${i}`]),
  ]).join();

/**
 * Greedily MLPs 0 and 1 go. Two other pairs are better, each on other sequences, so that neither
 * leads significantly; the validation text allows the second alone.
 */
const LOSS: LayerLoss = (layers, s) => {
  const losses: Record<string, number> = {
    "": 0,
    "0": 1,
    "1": 1.1,
    "2": 1.2,
    "3": 1.3,
    "0,1": 4,
    "1,2": 1.3 + (s % 2),
    "1,3": 1.4 + (1 - s % 2),
    "0,1,2": 5.5,
    "0,1,3": 5.5,
  };
  return s + (losses[gone(layers)] ?? 20);
};
const VALIDATION: LayerLoss = (layers, s) => s + (gone(layers) === "1,2" ? 8 : 7);

Deno.test("swap: what an earlier run refused is not tried again, wherever it was cut off", async () => {
  const straight = await search(LOSS, POLICY, { validation: VALIDATION });
  assert.deepEqual(straight.trials.map(({ kept }) => Boolean(kept)), [false, true]);
  assert.equal(gone(layersOfShape(ARCHITECTURE, straight.result.state.shape)), "1,3");
  const first = straight.lines.findIndex((line) => line.includes('"type":"swap"'));
  for (let cut = first; cut <= straight.lines.length; cut++) {
    const lines = straight.lines.slice(0, cut);
    const resumed = await search(LOSS, POLICY, { validation: VALIDATION, lines });
    assert.deepEqual(resumed.lines, straight.lines, `cut off after ${cut - first} swaps`);
    assert.deepEqual(resumed.result, straight.result);
  }
});

Deno.test("swap: a trial of another ratio is of no such search", async () => {
  const { lines } = await search(LOSS, POLICY, { validation: VALIDATION });
  const first = lines.findIndex((line) => line.includes('"type":"swap"'));
  const other = JSON.stringify({ ...JSON.parse(lines[first]), ratio: 31.5 });
  await assert.rejects(
    search(LOSS, POLICY, { validation: VALIDATION, lines: [...lines.slice(0, first), other] }),
    (error) => error instanceof ResumeError && /which this search cannot try/.test(error.message),
  );
});
