import { PlanError, ResumeError } from "@lopper/core";
import assert from "node:assert/strict";
import { checkFrontier } from "./check_frontier.ts";
import { checkHistory } from "./check_history.ts";
import type { Way } from "./frontier_schema.ts";
import type { History } from "./history.ts";
import { parseJournal } from "./journal.ts";
import { multiPruner } from "./multi_pruner.ts";
import type { Loss } from "./testing/fake_scorer.ts";
import { search, SPEC } from "./testing/fake_search.ts";

/** Blocks, channels and heads go, and a swap that helps comes after them. */
const LOSS: Loss = (layers, s) =>
  layers.reduce(
    (sum, { attention, mlp }, i) =>
      sum + (2 - (attention?.kvHeads ?? 0)) * (i + 1) / 3 +
      (32 - (mlp?.intermediateSize ?? 0)) / 32 * (i === 0 && layers[1].mlp === null ? 9 : 4 - i),
    s / 100,
  );
const POLICY = multiPruner(SPEC, {
  ratio: 35,
  distribution: [50, 30, 20],
  mlpGroup: 8,
  attentionGroup: 8,
});
const found = await search(LOSS, POLICY, { heldOut: LOSS, aside: LOSS });
const REPAIRS: History["repairs"] = [
  {
    type: "repair",
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
    type: "verdict",
    steps: found.result.steps.length,
    before: [3, 4],
    after: [5, 4],
    kept: false,
    cost: { blockTokens: 1, seconds: 1 },
  },
];
const HISTORY: History = { ...parseJournal(found.lines, "j"), repairs: REPAIRS };

// deno-lint-ignore no-explicit-any -- an edit may do anything
type Edit = (copy: any) => void;

/** What each edit is refused for: another check may not be there for it. */
const REASONS: Readonly<Record<string, RegExp>> = {
  "a step with another number": /step 1: it says that it is step 7/,
  "steps in another order": /step 0: it says that it is/,
  "a layer that is not there": /it names layer 4, and the model has 4/,
  "a block that is gone": /is gone already/,
  "a width that grows": /cannot come down to 40/,
  "no width at all": /cannot come down to 0/,
  "another width": /its ratio is|units of layer \d change, and its widths say/,
  "half a KV group": /cannot come down to/,
  "a block that goes, and has a width": /is 8 wide; it needs 0/,
  "what was no candidate": /it takes what was no candidate/,
  "another ratio": /its ratio is/,
  "a candidate that is not there": /step 0: it names layer 9/,
  "a score of a step that is not there": /a score of step 99: the journal has no such step/,
  "a score of what is not there": /a score of step \d+: it names layer 9/,
  "a sequence twice": /it has a sequence twice/,
  "a measure of a step that is not there": /a measure after step 99: the journal has no such/,
  "a measure of nothing": /it has no sequences/,
  "a repair of a layer that is not there": /repair of .*: it names layer 4/,
  "a repair twice": /it is there twice/,
  "a repair without a ridge": /its ridge is 0/,
  "a repair that was not kept": /repair of attention .* say the contrary/,
  "a verdict that was kept": /repair of all of them .* say the contrary/,
  "a verdict of unlike losses": /it has 2 losses before and 3 after/,
  "a swap that was kept, and does not help": /it was kept, and its losses do not fall/,
  "a swap that was not kept": /\d+ of \d+ were kept, not/,
  "a swap after a step that is not there": /the journal has no such step|which its frontier lacks/,
  "a swap that gives back too much": /cannot come back to 999/,
  "a swap that gives back nothing": /cannot come back to 1/,
  "a swap of a layer that is not there": /it names layer 4/,
  "a swap that removes what is not there": /it names layer 4/,
  "a swap with another ratio": /its ratio is/,
  "a swap of unlike losses": /losses before and \d+ after/,
  "a swap that text kept aside is against": /say the contrary/,
  "more swaps than were tried": /\d+ of \d+ were kept, not/,
  "more swaps than were kept": /\d+ of \d+ were kept, not/,
  "another kind": /what is left of a block that goes is \d+ wide/,
  "a unit less": /7 units of layer \d change, and its widths say 8/,
  "a unit twice": /unit \d+ of layer \d cannot go/,
  "a unit that is not there": /unit 32 of layer \d cannot go/,
  "units out of order": /unit \d+ of layer \d cannot go/,
  "units of a block that goes": /a block that goes names units/,
  "units by layer where one changes": /it does not say of 4 layers what went/,
  "other parameters": /parameters, and what it leaves has/,
  "swaps twice": /it has swaps after step \d+ twice/,
  "swaps after a step that is not there": /swaps after step 99, which its frontier lacks/,
  "a swap that gives back other units": /units of layer \d change, and its widths say/,
  "a swap with other parameters": /parameters, and what it leaves has/,
};

function refuses<T>(
  original: T,
  check: (value: T) => void,
  error: typeof ResumeError | typeof PlanError,
  edits: Readonly<Record<string, Edit>>,
) {
  check(original);
  for (const [what, edit] of Object.entries(edits)) {
    const copy = structuredClone(original);
    edit(copy);
    assert.throws(() => check(copy), (thrown) => {
      assert.ok(thrown instanceof error, `${what}: ${thrown}`);
      assert.ok(!thrown.message.includes("\n"), thrown.message);
      assert.match(thrown.message, REASONS[what], what);
      return true;
    }, what);
  }
}

Deno.test("history: what is not of the model, or contradicts itself, is not believed", () => {
  const { steps, swaps, evidence, measures } = HISTORY;
  const kinds = new Set(steps.map(({ taken }) => taken.kind));
  assert.ok(kinds.has("mlp_channels") && kinds.has("attention_heads") && kinds.has("mlp"));
  assert.ok(swaps.some((line) => line.type === "swap" && line.kept), "a swap was kept");
  assert.ok(measures.length > 0 && evidence.length > 0);
  const narrowed = steps.findIndex(({ taken }) => taken.kind === "mlp_channels");
  const heads = steps.findIndex(({ taken }) => taken.kind === "attention_heads");
  const block = steps.findIndex(({ taken }) => taken.width === 0);
  const score = evidence.findIndex(({ type }) => type === "score");
  const kept = swaps.findLastIndex((line) => line.type === "swap" && line.kept);
  const both =
    (i: number, change: (name: { width: number; layer: number }) => void): Edit => (h) => {
      const { taken, candidates } = h.steps[i];
      const among = candidates.find((c: typeof taken) =>
        c.kind === taken.kind && c.layer === taken.layer && c.width === taken.width
      );
      change(taken);
      change(among);
    };
  refuses(HISTORY, (h) => checkHistory(SPEC, h, "j"), ResumeError, {
    "a step with another number": (h) => h.steps[1].step = 7,
    "steps in another order": (h) => h.steps.reverse(),
    "a layer that is not there": both(block, (name) => name.layer = 4),
    "a block that is gone": (h) =>
      h.steps.splice(block + 1, 0, { ...h.steps[block], step: block + 1 }),
    "a width that grows": both(narrowed, (name) => name.width = 40),
    "no width at all": both(narrowed, (name) => name.width = 0),
    "another width": both(narrowed, (name) => name.width -= 1),
    "half a KV group": both(heads, (name) => name.width -= 2),
    "a block that goes, and has a width": both(block, (name) => name.width = 8),
    "what was no candidate": (h) => h.steps[block].taken = h.steps[narrowed].taken,
    "another ratio": (h) => h.steps[0].ratio += 1e-6,
    "a candidate that is not there": (h) => h.steps[0].candidates[0].layer = 9,
    "a score of a step that is not there": (h) => h.evidence[score].step = 99,
    "a score of what is not there": (h) =>
      h.evidence.find((e: { of: unknown }) => e.of !== "trunk").of.layer = 9,
    "a sequence twice": (h) => h.evidence[score].sequences[1] = h.evidence[score].sequences[0],
    "a measure of a step that is not there": (h) => h.measures[0].steps = 99,
    "a measure of nothing": (h) => h.measures[0].nll = [],
    "a repair of a layer that is not there": (h) => h.repairs[0].layer = 4,
    "a repair twice": (h) => h.repairs.push(h.repairs[0]),
    "a repair without a ridge": (h) => h.repairs[0].lambda = 0,
    "a repair that was not kept": (h) => h.repairs[0].kept = false,
    "a verdict that was kept": (h) => h.repairs[1].kept = true,
    "a verdict of unlike losses": (h) => h.repairs[1].after.push(1),
    "a swap that was kept, and does not help": (h) => {
      const { before, after } = h.swaps[kept];
      h.swaps[kept] = { ...h.swaps[kept], before: after, after: before };
    },
    "a swap that was not kept": (h) => h.swaps[kept].kept = false,
    "a swap after a step that is not there": (h) =>
      h.swaps.forEach((s: { steps: number }) => s.steps = 99),
    "a swap that gives back too much": (h) => h.swaps[0].restored.width = 999,
    "a swap that gives back nothing": (h) => h.swaps[0].restored.width = 1,
    "a swap of a layer that is not there": (h) => h.swaps[0].restored.layer = 4,
    "a swap that removes what is not there": (h) =>
      h.swaps.find((s: { removed: unknown }) => s.removed).removed.layer = 4,
    "a swap with another ratio": (h) => h.swaps[0].ratio += 1e-6,
    "a swap of unlike losses": (h) => h.swaps[0].after.pop(),
    "a swap that text kept aside is against": (h) => h.swaps[kept].aside.after[0] += 1e3,
    "more swaps than were tried": (h) => h.swaps.at(-1).tried += 1,
    "more swaps than were kept": (h) => h.swaps.at(-1).kept += 1,
  });
});

Deno.test("history: that of another model is not believed", () => {
  const narrow = SPEC.layers.map((layer) => ({ ...layer, mlp: { intermediateSize: 24 } }));
  for (const layers of [SPEC.layers.slice(1), narrow]) {
    assert.throws(() => checkHistory({ ...SPEC, layers }, HISTORY, "j"), ResumeError);
    assert.throws(() => checkFrontier({ ...SPEC, layers }, found.way), PlanError);
  }
});

Deno.test("frontier: what is not of the model, or contradicts itself, is refused", () => {
  const { frontier, swaps } = found.way;
  const narrowed = frontier.findIndex(({ kind }) => kind === "mlp_channels");
  const heads = frontier.findIndex(({ kind }) => kind === "attention_heads");
  const block = frontier.findIndex(({ width }) => width === 0);
  assert.ok(swaps[0].kept.length > 0);
  refuses<Way>(found.way, (way) => checkFrontier(SPEC, way), PlanError, {
    "a layer that is not there": (w) => w.frontier[block].layer = 4,
    "a block that is gone": (w) => w.frontier.splice(block + 1, 0, w.frontier[block]),
    "another width": (w) => w.frontier[narrowed].width -= 1,
    "half a KV group": (w) => w.frontier[heads].width -= 2,
    "another kind": (w) => w.frontier[heads].kind = "attention",
    "a unit less": (w) => w.frontier[narrowed].removed.pop(),
    "a unit twice": (w) => w.frontier[narrowed].removed[0] = w.frontier[narrowed].removed[1],
    "a unit that is not there": (w) => w.frontier[narrowed].removed[7] = 32,
    "units out of order": (w) => w.frontier[narrowed].removed.reverse(),
    "units of a block that goes": (w) => w.frontier[block].removed = [1],
    "units by layer where one changes": (w) =>
      w.frontier[narrowed].removedByLayer = [[], [], [], []],
    "another ratio": (w) => w.frontier[0].ratio += 1e-6,
    "other parameters": (w) => w.frontier.at(-1).parameters -= 1,
    "swaps twice": (w) => w.swaps.push(w.swaps[0]),
    "swaps after a step that is not there": (w) => w.swaps[0].steps = 99,
    "a swap of a layer that is not there": (w) => w.swaps[0].kept[0].restored.layer = 4,
    "a swap that gives back too much": (w) => w.swaps[0].kept[0].restored.width = 999,
    "a swap that gives back other units": (w) => w.swaps[0].kept[0].restored.units.pop(),
    "a swap with another ratio": (w) => w.swaps[0].kept[0].ratio += 1e-6,
    "a swap with other parameters": (w) => w.swaps[0].kept[0].parameters += 1,
  });
});
