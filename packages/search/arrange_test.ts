import { countParameters, type LayerSpec, ResumeError } from "@lopper/core";
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Arrangement, type Arranger, chooseOrder, trialCut } from "./arrange.ts";
import { exhaustive } from "./exhaustive.ts";
import { parseJournal, toJournalLine } from "./journal.ts";
import { competition } from "./competition.ts";
import { multiPruner } from "./multi_pruner.ts";
import type { SearchPolicy } from "./policy.ts";
import { FakeScorer } from "./testing/fake_scorer.ts";
import { runSearch } from "./testing/run_search.ts";
import { tinySpec } from "./testing/tiny_spec.ts";

Deno.test("order: another than the published one is taken where it is better beyond chance", () => {
  const l1 = { order: "l1", nll: [3, 4, 5, 6] } as const;
  const energy = (nll: readonly number[]) => ({ order: "energy", nll } as const);
  const wanda = (nll: readonly number[]) => ({ order: "wanda", nll } as const);
  assert.equal(chooseOrder([l1, energy([2.9, 3.9, 4.8, 5.9]), wanda([3, 4, 5, 6])]), "energy");
  assert.equal(chooseOrder([l1, energy([2.9, 3.9, 4.9, 5.9]), wanda([2, 3, 4, 5])]), "wanda");
  // better on the mean, because of one sequence
  assert.equal(chooseOrder([l1, energy([3.1, 4.1, 5.1, 2])]), "l1");
  assert.equal(chooseOrder([l1, energy([3.1, 4.1, 5.1, 6.1])]), "l1");
  assert.equal(chooseOrder([{ ...l1, nll: [3] }, energy([1])]), "l1", "one sequence says nothing");
  assert.equal(chooseOrder([l1, energy([1, 1, NaN, 1])]), "l1");
  assert.equal(chooseOrder([{ ...l1, nll: [3, NaN] }, energy([9, 9]), wanda([8, 9])]), "wanda");
});

Deno.test("order: a trial cut takes the same share everywhere, and as many parameters as asked for", () => {
  const spec = tinySpec(6);
  fc.assert(fc.property(
    fc.constantFrom("channels" as const, "kvGroups" as const),
    fc.double({ min: 0.1, max: 40, noNaN: true }),
    fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
    (units, percent, gone) => {
      const kind = units === "channels" ? "mlp" : "attention";
      const layers = spec.layers.map((layer, i): LayerSpec =>
        gone[i] && gone.includes(false) ? { ...layer, [kind]: null } : layer
      );
      const cut = trialCut(spec, layers, units, percent);
      const count = ({ attention, mlp }: LayerSpec) =>
        (units === "channels" ? mlp?.intermediateSize : attention?.kvHeads) ?? 0;
      const before = layers.map(count), after = cut.map(count);
      const total = (values: number[]) => values.reduce((a, b) => a + b, 0);
      const less = before.map((n, i) => n - after[i]);
      assert.ok(total(less) >= 1);
      before.forEach((n, i) => assert.ok(n === 0 ? after[i] === 0 : after[i] >= 1));
      const shares = less.filter((_, i) => before[i] > 0);
      assert.ok(Math.max(...shares) - Math.min(...shares) <= 1, String(shares));
      assert.ok(total(less) <= total(before) / 2 + 1);
      const removed = countParameters(spec, layers).total - countParameters(spec, cut).total;
      const wanted = percent / 100 * countParameters(spec).total;
      const unit = removed / total(less);
      if (total(less) < total(before) / 2 - 1) assert.ok(removed > wanted - unit);
      if (total(less) > 1) assert.ok(removed < wanted + unit);
      cut.forEach(({ attention }) =>
        attention && assert.equal(attention.queryHeads, 2 * attention.kvHeads)
      );
    },
  ));
});

const SPEC = tinySpec(4);
const COST = { blockTokens: 0, seconds: 0 };

/** Runs a search with an arranger that only writes down what it is asked. */
async function arranged(policy: SearchPolicy, arrangements: readonly Arrangement[] = []) {
  const calls: string[] = [];
  const arranger: Arranger = {
    arrange: ({ units, percent }) => {
      calls.push(`${units} ${percent.toFixed(2)}`);
      const order = (n: number) => Array.from({ length: n }, (_, i) => n - 1 - i);
      return Promise.resolve({
        chosen: "energy",
        tried: [{ order: "l1", nll: [1, NaN] }],
        layers: SPEC.layers.map(({ mlp, attention }) =>
          units === "channels" ? mlp && order(32) : attention && order(2)
        ),
      });
    },
    apply: ({ units }) => {
      calls.push(`apply ${units}`);
      return Promise.resolve();
    },
  };
  const scorer = new FakeScorer(() => 1, { batches: [[0], [1]] });
  scorer.release = () => void calls.push("release");
  const options = { picker: exhaustive, arranger };
  const lines = arrangements.map(toJournalLine);
  const { events } = await runSearch(SPEC, policy, scorer, options, lines);
  return { calls, events };
}

const OPTIONS = { ratio: 20, mlpGroup: 4, attentionGroup: 8 };

Deno.test("order: stages that narrow blocks begin with one, whose line a resumed run believes", async () => {
  const policy = multiPruner(SPEC, { ...OPTIONS, distribution: [1, 1, 1] });
  const { calls, events } = await arranged(policy);
  const asked = calls.filter((call) => call !== "release");
  assert.equal(asked.length, 4);
  assert.match(asked[0], /^channels \d/);
  assert.equal(asked[1], "apply channels");
  assert.match(asked[2], /^kvGroups \d/);
  for (const call of asked.filter((call) => !call.startsWith("apply"))) {
    assert.equal(calls[calls.indexOf(call) - 1], "release", "kept streams are let go before");
  }
  const lines = events.flatMap((event) => event.type === "order" ? [event.arrangement] : []);
  assert.deepEqual(lines.map(({ stage, units }) => [stage, units]), [[1, "channels"], [
    2,
    "kvGroups",
  ]]);

  const read = parseJournal(lines.map(toJournalLine), "journal").arrangements!;
  assert.deepEqual(read, lines);
  const again = await arranged(policy, read);
  assert.deepEqual(
    again.calls.filter((call) => call !== "release"),
    ["apply channels", "apply kvGroups"],
  );
  assert.ok(again.events.every((event) => event.type !== "order" || event.resumed));

  // one that is not of this model is not believed
  for (const layers of [lines[0].layers.slice(1), lines[0].layers.with(0, [0, 0])]) {
    await assert.rejects(arranged(policy, [{ ...lines[0], layers }]), (error) => {
      assert.ok(error instanceof ResumeError, String(error));
      assert.match(error.message, /^the journal's order of channels for stage 1 is not of this/);
      return true;
    });
  }

  const together = await arranged(competition(SPEC, OPTIONS));
  const order = together.calls.filter((call) => call !== "release");
  assert.deepEqual(
    order.map((call) => call.replace(/ \d.*/, "")),
    ["channels", "kvGroups", "apply channels", "apply kvGroups"],
    "both are decided on the model as the stage finds it",
  );
});

Deno.test("order: a damaged line of the journal is named", () => {
  const line: Arrangement = {
    type: "order",
    stage: 1,
    units: "channels",
    chosen: "energy",
    tried: [],
    layers: [[1, 0], null],
    cost: COST,
  };
  parseJournal([toJournalLine(line)], "j");
  assert.throws(
    () => parseJournal([JSON.stringify({ ...line, chosen: "magic" })], "j"),
    /j, line 1: at chosen/,
  );
});
