import type { Model } from "@lopper/models";
import { architectureOfLayers } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { reachNotes } from "./reach_notes.ts";
import { runFlags } from "./run_flags.ts";
import { policyOf } from "./search_tools.ts";
import type { RunFlags } from "./schemas/flags.ts";

/** What a run of four layers with so many KV heads says of its reach. */
function notesOf(kvHeads: number, given: Partial<RunFlags>): readonly string[] {
  const layer = { attention: { queryHeads: 4, kvHeads }, mlp: { intermediateSize: 64 } };
  const layers = Array.from({ length: 4 }, () => layer);
  const architecture = architectureOfLayers(layers, { hiddenSize: 8, headDim: 4, vocabSize: 11 });
  const model = { architecture } as Model;
  const flags = runFlags(architecture, { mlpGroup: 8, ...given });
  const events = [...reachNotes(model, policyOf(model, flags, null), flags)];
  return events.flatMap((event) => event.type === "note" ? [event.message] : []);
}

Deno.test("reach: a run says beforehand whose share others take, and where it will end below its ratio", () => {
  assert.deepEqual(notesOf(2, { preset: "multipruner" }), []);
  assert.deepEqual(notesOf(1, {}), [], "where kinds compete there are no shares");
  assert.deepEqual(notesOf(1, { preset: "multipruner" }), [
    "no layer of this model can lose heads, and MLP channels go on in their place: the last 0.8 % of the parameters",
  ]);
  const [note, ...others] = notesOf(2, { preset: "heads", ratio: 60, bestEffort: true });
  assert.match(
    note,
    /^\d+(\.\d+)? % of the parameters is the most that can go with these settings, and 60 % were asked for/,
  );
  assert.deepEqual(others, []);
});
