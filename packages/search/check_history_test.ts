import { denseShape, keepLayers, PlanError, ResumeError, withShape } from "@lopper/core";
import assert from "node:assert/strict";
import { checkHistory } from "./check_history.ts";
import { checkWay } from "./check_way.ts";
import type { History } from "./history.ts";
import { parseJournal } from "./journal.ts";
import { multiPruner } from "./multi_pruner.ts";
import { kindOfChanges } from "./part.ts";
import { searchModelOf } from "./search_model.ts";
import type { LayerLoss } from "./testing/fake_scorer.ts";
import { ARCHITECTURE, MODEL, search } from "./testing/fake_search.ts";
import type { Way } from "./way_schema.ts";

/** Blocks, channels and heads go, and a swap that helps comes after them. */
const LOSS: LayerLoss = (layers, s) =>
  layers.reduce(
    (sum, { attention, mlp }, i) =>
      sum + (2 - (attention?.kvHeads ?? 0)) * (i + 1) / 3 +
      (32 - (mlp?.intermediateSize ?? 0)) / 32 * (i === 0 && layers[1].mlp === null ? 9 : 4 - i),
    s / 100,
  );
const POLICY = multiPruner(MODEL, {
  ratio: 35,
  distribution: [50, 30, 20],
  groups: { channels: 8, kvGroups: 8 },
});
const found = await search(LOSS, POLICY, { heldOut: LOSS, validation: LOSS });
const REFITS: History["refits"] = [
  {
    type: "refit",
    steps: found.result.steps.length,
    layer: 0,
    kind: "attention",
    folded: 0,
    lambda: 0.1,
    before: [3, 4],
    after: [3, 3],
    kept: true,
    cost: { blockTokens: 1, seconds: 1 },
  },
  {
    type: "recovery",
    steps: found.result.steps.length,
    before: [3, 4],
    after: [5, 4],
    kept: false,
    cost: { blockTokens: 1, seconds: 1 },
  },
  {
    type: "local",
    steps: found.result.steps.length,
    lambda: 0.1,
    projections: 2,
    before: [3, 4],
    after: [3, 3],
    kept: true,
    cost: { blockTokens: 1, seconds: 1 },
  },
  {
    type: "recovery",
    local: true,
    steps: found.result.steps.length,
    before: [3, 4],
    after: [3, 3],
    kept: true,
    cost: { blockTokens: 1, seconds: 1 },
  },
];
const HISTORY: History = { ...parseJournal(found.lines, "j"), refits: REFITS };

// deno-lint-ignore no-explicit-any -- an edit may do anything
type Edit = (copy: any) => void;

/** What each edit is refused for: another check may not be there for it. */
const REASONS: Readonly<Record<string, RegExp>> = {
  "a step with another number": /step 1: it says that it is step 7/,
  "steps in another order": /step 0: it says that it is/,
  "a block that is not there": /the model has no block 4\.mlp/,
  "a block that is gone": /is gone already/,
  "a size that grows": /cannot come down to 40/,
  "no size at all": /cannot come down to 0/,
  "another size": /the units that it names are not those of/,
  "a unit less": /the units that it names are not those of|its ratio is/,
  "a unit that is not there": /32 is among the channels of block .* stay below 32/,
  "a unit twice": /they must ascend|go twice/,
  "what was no candidate": /it takes what was no candidate/,
  "another ratio": /its ratio is/,
  "a name that names nothing": /step 0: "mlp of layer 0" names no candidate/,
  "a dimension that is not there": /step 0: block 0\.mlp has no heads/,
  "a candidate that is not there": /step 0: the model has no block 9\.mlp/,
  "a score of a step that is not there": /a score of step 99: the journal has no such step/,
  "a score of what is not there": /a score of step \d+: the model has no block 9\.mlp/,
  "a sequence twice": /it has a sequence twice/,
  "a measure of a step that is not there": /a measure after step 99: the journal has no such/,
  "a measure of nothing": /it has no sequences/,
  "a refit of a layer that is not there": /refit of .*: the model has no block 4\.attention/,
  "a refit twice": /it is there twice/,
  "a refit without a ridge": /its ridge is 0/,
  "a local refit twice": /local refit with ridge 0\.1 .*: it is there twice/,
  "a local refit without a ridge": /local refit with ridge 0 .*: its ridge is 0/,
  "a local refit that was not kept": /local refit with ridge 0\.1 .* say the contrary/,
  "a local refit of more than there is": /it has 99 projections, and the model 8 blocks/,
  "a local verdict that was not kept": /the test of the local refits .* say the contrary/,
  "a refit that was not kept": /refit of attention .* say the contrary/,
  "a verdict that was kept": /refit of all of them .* say the contrary/,
  "a verdict of unlike losses": /it has 2 losses before and 3 after/,
  "a swap that was kept, and does not help": /it was kept, and its losses do not fall/,
  "a swap that was not kept": /\d+ of \d+ were kept, not|its ratio is|cannot come/,
  "a kept swap of other units": /the units that it names are not those of/,
  "a swap after a step that is not there": /the journal has no such step/,
  "a swap that gives back too much": /cannot come back to 999/,
  "a swap that gives back nothing": /cannot come back to 1/,
  "a swap of a block that is not there": /the model has no block 4\.mlp/,
  "a swap that gives back it does not say what": /it does not say with what/,
  "a swap that removes what is not there": /the model has no block 4\.mlp/,
  "a swap with another ratio": /its ratio is/,
  "a swap of unlike losses": /losses before and \d+ after/,
  "a swap that validation text is against": /say the contrary/,
  "more swaps than were tried": /\d+ of \d+ were kept, not/,
  "more swaps than were kept": /\d+ of \d+ were kept, not/,
};

const WAY_REASONS: Readonly<Record<string, RegExp>> = {
  "a block that is not there": /step 1 of its frontier: the model has no block 4\.mlp/,
  "a block that is gone": /goes twice/,
  "a step that changes nothing": /step 1 of its frontier: it changes nothing/,
  "a unit less": /its ratio is/,
  "a unit twice": /is among the channels of block .* must ascend/,
  "a unit that is not there": /32 is among the channels of block .* stay below 32/,
  "units out of order": /must ascend/,
  "units of a block that goes": /goes as a whole, and units of it are named/,
  "another ratio": /its ratio is/,
  "other parameters": /parameters, and what it leaves has/,
  "swaps twice": /it has swaps after step \d+ twice/,
  "swaps after a step that is not there": /swaps after step 99, which its frontier lacks/,
  "a swap of a block that is not there":
    /swap 1 after step \d+ of its frontier: the model has no block/,
  "a swap that gives back what is there": /come back, and are there/,
  "a swap that gives back fewer units": /its ratio is|names no/,
  "a swap with another ratio": /its ratio is/,
  "a swap with other parameters": /parameters, and what it leaves has/,
};

function refuses<T>(
  original: T,
  check: (value: T) => void,
  error: typeof ResumeError | typeof PlanError,
  reasons: typeof REASONS,
  edits: Readonly<Record<string, Edit>>,
) {
  check(original);
  for (const [what, edit] of Object.entries(edits)) {
    const copy = structuredClone(original);
    edit(copy);
    assert.throws(() => check(copy), (thrown) => {
      assert.ok(thrown instanceof error, `${what}: ${thrown}`);
      assert.ok(!thrown.message.includes("\n"), thrown.message);
      assert.match(thrown.message, reasons[what], what);
      return true;
    }, what);
  }
}

Deno.test("history: what is not of the model, or contradicts itself, is not believed", () => {
  const { steps, swaps, evidence, measures } = HISTORY;
  const kinds = steps.map(({ taken }) => kindOfChanges(taken.changes));
  assert.ok(kinds.includes("kvGroups"));
  assert.ok(swaps.some((line) => line.type === "swap" && line.kept), "a swap was kept");
  assert.ok(measures.length > 0 && evidence.length > 0);
  const narrowed = kinds.indexOf("channels");
  const block = kinds.indexOf("mlp");
  assert.ok(narrowed > 0 && block >= 0);
  const score = evidence.findIndex(({ type }) => type === "score");
  const kept = swaps.findLastIndex((line) => line.type === "swap" && line.kept);
  /** Another name for what a step takes, among its candidates, too. */
  const renamed = (i: number, change: (key: string) => string): Edit => (h) => {
    const { taken, candidates } = h.steps[i];
    candidates.find(({ key }: { key: string }) => key === taken.key).key = change(taken.key);
    taken.key = change(taken.key);
  };
  const to = (left: number) => (key: string) => key.replace(/→\d+/, `→${left}`);
  refuses(HISTORY, (h) => checkHistory(MODEL, h, "j"), ResumeError, REASONS, {
    "a step with another number": (h) => h.steps[1].step = 7,
    "steps in another order": (h) => h.steps.reverse(),
    "a block that is not there": (h) => h.steps[block].taken.changes[0].part = "4.mlp",
    "a block that is gone": (h) =>
      h.steps.splice(block + 1, 0, { ...h.steps[block], step: block + 1 }),
    "a size that grows": renamed(narrowed, to(40)),
    "no size at all": renamed(narrowed, to(0)),
    "another size": renamed(narrowed, to(23)),
    "a unit less": (h) => h.steps[narrowed].taken.changes[0].removed.pop(),
    "a unit that is not there": (h) => h.steps[narrowed].taken.changes[0].removed[7] = 32,
    "a unit twice": (h) => {
      const { removed } = h.steps[narrowed].taken.changes[0];
      removed[1] = removed[0];
    },
    "what was no candidate": (h) => h.steps[block].taken = h.steps[narrowed].taken,
    "another ratio": (h) => h.steps[0].ratio += 1e-6,
    "a name that names nothing": (h) => h.steps[0].candidates[0].key = "mlp of layer 0",
    "a dimension that is not there": (h) => h.steps[0].candidates[0].key = "0.mlp heads→1",
    "a candidate that is not there": (h) => h.steps[0].candidates[0].key = "9.mlp",
    "a score of a step that is not there": (h) => h.evidence[score].step = 99,
    "a score of what is not there": (h) =>
      h.evidence.find((e: { of: unknown }) => e.of !== "base").of = "9.mlp",
    "a sequence twice": (h) => h.evidence[score].sequences[1] = h.evidence[score].sequences[0],
    "a measure of a step that is not there": (h) => h.measures[0].steps = 99,
    "a measure of nothing": (h) => h.measures[0].nll = [],
    "a refit of a layer that is not there": (h) => h.refits[0].layer = 4,
    "a refit twice": (h) => h.refits.push(h.refits[0]),
    "a refit without a ridge": (h) => h.refits[0].lambda = 0,
    "a local refit twice": (h) => h.refits.push(h.refits[2]),
    "a local refit without a ridge": (h) => h.refits[2].lambda = 0,
    "a local refit that was not kept": (h) => h.refits[2].kept = false,
    "a local refit of more than there is": (h) => h.refits[2].projections = 99,
    "a local verdict that was not kept": (h) => h.refits[3].kept = false,
    "a refit that was not kept": (h) => h.refits[0].kept = false,
    "a verdict that was kept": (h) => h.refits[1].kept = true,
    "a verdict of unlike losses": (h) => h.refits[1].after.push(1),
    "a swap that was kept, and does not help": (h) => {
      const { before, after } = h.swaps[kept];
      h.swaps[kept] = { ...h.swaps[kept], before: after, after: before };
    },
    "a swap that was not kept": (h) => h.swaps[kept].kept = null,
    "a kept swap of other units": (h) => h.swaps[kept].kept.pop(),
    "a swap after a step that is not there": (h) =>
      h.swaps.forEach((s: { steps: number }) => s.steps = 99),
    "a swap that gives back too much": (h) => h.swaps[0].restored = to(999)(h.swaps[0].restored),
    "a swap that gives back nothing": (h) => h.swaps[0].restored = to(1)(h.swaps[0].restored),
    "a swap of a block that is not there": (h) => h.swaps[0].restored = "4.mlp channels→8",
    "a swap that gives back it does not say what": (h) => h.swaps[0].restored = "0.mlp",
    "a swap that removes what is not there": (h) =>
      h.swaps.find((s: { removed: unknown }) => s.removed).removed = "4.mlp",
    "a swap with another ratio": (h) => h.swaps[0].ratio += 1e-6,
    "a swap of unlike losses": (h) => h.swaps[0].after.pop(),
    "a swap that validation text is against": (h) => h.swaps[kept].validation.after[0] += 1e3,
    "more swaps than were tried": (h) => h.swaps.at(-1).tried += 1,
    "more swaps than were kept": (h) => h.swaps.at(-1).kept += 1,
  });
});

Deno.test("history: that of another model is not believed", () => {
  const narrow = denseShape(ARCHITECTURE.blocks).map((size) =>
    size?.channels ? { channels: 24 } : size
  );
  for (
    const architecture of [keepLayers(ARCHITECTURE, [1, 2, 3]), withShape(ARCHITECTURE, narrow)]
  ) {
    const other = searchModelOf(architecture);
    assert.throws(() => checkHistory(other, HISTORY, "j"), ResumeError);
    assert.throws(() => checkWay(other, found.way), PlanError);
  }
});

Deno.test("frontier: what is not of the model, or contradicts itself, is refused", () => {
  const { frontier, swaps } = found.way;
  const narrowed = frontier.findIndex(({ changes }) => kindOfChanges(changes) === "channels");
  const block = frontier.findIndex(({ changes }) => changes[0].dimension === null);
  assert.ok(swaps[0].kept.length > 0);
  const swapped = (w: Parameters<Edit>[0]) => w.swaps[0].kept[0];
  refuses<Way>(found.way, (way) => checkWay(MODEL, way), PlanError, WAY_REASONS, {
    "a block that is not there": (w) => w.frontier[0].changes[0].part = "4.mlp",
    "a block that is gone": (w) => w.frontier.splice(block + 1, 0, w.frontier[block]),
    "a step that changes nothing": (w) => w.frontier[0].changes = [],
    "a unit less": (w) => w.frontier[narrowed].changes[0].removed.pop(),
    "a unit twice": (w) => {
      const { removed } = w.frontier[narrowed].changes[0];
      removed[1] = removed[0];
    },
    "a unit that is not there": (w) => w.frontier[narrowed].changes[0].removed[7] = 32,
    "units out of order": (w) => w.frontier[narrowed].changes[0].removed.reverse(),
    "units of a block that goes": (w) => w.frontier[block].changes[0].removed = [1],
    "another ratio": (w) => w.frontier[0].ratio += 1e-6,
    "other parameters": (w) => w.frontier.at(-1).parameters -= 1,
    "swaps twice": (w) => w.swaps.push(w.swaps[0]),
    "swaps after a step that is not there": (w) => w.swaps[0].steps = 99,
    "a swap of a block that is not there": (w) => swapped(w).changes[0].part = "4.mlp",
    "a swap that gives back what is there": (w) =>
      swapped(w).changes.splice(1, 0, swapped(w).changes[0]),
    "a swap that gives back fewer units": (w) => swapped(w).changes[0].restored.pop(),
    "a swap with another ratio": (w) => swapped(w).ratio += 1e-6,
    "a swap with other parameters": (w) => swapped(w).parameters += 1,
  });
});
