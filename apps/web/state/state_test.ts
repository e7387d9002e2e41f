import assert from "node:assert/strict";
import type { Layers, Opened, PruneTold, StepTold } from "../tasks/protocol.ts";
import { afterTold, chosen, mostOf, phaseAfter, running, secondsLeft } from "./state.ts";

const OPENED: Opened = {
  ...{ title: "model", family: "llama", layers: 2, parameters: 100, bytes: 200, longest: 64 },
  largestRatio: 85.7,
  notes: [],
};
const LAYERS = { frontier: [] } as unknown as Layers;
const step = (ratio: number): StepTold => ({ stage: "all", what: "MLP", perplexity: 9, ratio });

Deno.test("page: a model is asked to lose what the command line would take, or as much as can go", () => {
  assert.equal(chosen({ kind: "embedded" }, OPENED).asked.ratio, 20);
  assert.equal(mostOf(OPENED), 85);
  const little = { ...OPENED, largestRatio: 12.9 };
  assert.equal(chosen({ kind: "embedded" }, little).asked.ratio, 12);
  assert.equal(mostOf({ ...OPENED, largestRatio: 0.2 }), 1);
});

Deno.test("page: a run is what was told of it, in its order", () => {
  const told: readonly PruneTold[] = [
    { type: "begin", target: 30, meaning: "A meaning.", layers: LAYERS },
    { type: "progress", phase: "searching", done: 1, total: 4 },
    { type: "steps", steps: [step(1), step(2)], layers: LAYERS },
    { type: "note", message: "A note." },
    { type: "steps", steps: [step(3)], layers: LAYERS },
  ];
  const start = running("model", 20);
  const run = told.reduce((run, event, i) => afterTold(run, event, i), start);
  assert.deepEqual(run, {
    ...{ at: "running", title: "model", target: 30, meaning: "A meaning.", notes: ["A note."] },
    phase: { name: "searching", done: 1, total: 4, first: { done: 1, at: 1 } },
    steps: [step(1), step(2), step(3)],
    layers: LAYERS,
  });
  assert.deepEqual(start, running("model", 20), "what was there stays as it is");
});

Deno.test("page: what is left of a piece of work is known by its own speed alone", () => {
  // It goes on from a third, where another run had come.
  const first = phaseAfter(null, "searching", { done: 100, total: 300 }, 1000);
  assert.equal(secondsLeft(first, 60_000), null);
  const second = phaseAfter(first, "searching", { done: 150, total: 300 }, 11_000);
  assert.equal(secondsLeft(second, 11_000), 30);
  assert.equal(secondsLeft(second, 2000), null, "too soon");
  const other = phaseAfter(second, "recovery", { done: 150, total: 200 }, 12_000);
  assert.deepEqual(other.first, { done: 150, at: 12_000 });
  const anew = phaseAfter(second, "searching", { done: 10, total: 300 }, 13_000);
  assert.deepEqual(anew.first, { done: 10, at: 13_000 });
});
