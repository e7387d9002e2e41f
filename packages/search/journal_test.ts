import { ResumeError } from "@lopper/core";
import { RANKING_NAMES } from "@lopper/importance";
import assert from "node:assert/strict";
import fc from "fast-check";
import { parseJournal, toJournalLine } from "./journal.ts";
import type {
  Evidence,
  Measure,
  RankingLine,
  RecoveryLine,
  Step,
  SwapLine,
} from "./journal_lines.ts";

/** Failing cases are printed with their seed; LOPPER_SEED runs them again. */
const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 5);

const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x === 0 ? 0 : x);
const lossy = fc.oneof(finite, fc.constant(NaN));
const key = fc.constantFrom("3.attention", "0.mlp", "12.mlp channels→352", "0.mlp, 1.mlp");
const change = fc.record({
  part: fc.constantFrom("3.attention", "12.mlp"),
  dimension: fc.option(fc.constantFrom("channels", "kvGroups")),
  removed: fc.array(fc.nat(999), { maxLength: 4 }),
  restored: fc.array(fc.nat(999), { maxLength: 4 }),
}, { noNullPrototype: true, requiredKeys: ["part", "dimension", "removed"] });
const changes = fc.array(change, { minLength: 1, maxLength: 3 });
const step = fc.record({
  type: fc.constant("step"),
  step: fc.nat(),
  stage: fc.constantFrom("blocks", "channels", "kvGroups"),
  taken: fc.record({ key, changes }, { noNullPrototype: true }),
  ppl: finite,
  ratio: finite,
  candidates: fc.array(
    fc.record(
      { key, ppl: lossy, sequences: fc.nat(99) },
      { noNullPrototype: true },
    ),
    { maxLength: 5 },
  ),
  blockTokens: fc.record({ spent: finite, full: finite }, { noNullPrototype: true }),
  seconds: finite,
}, { noNullPrototype: true }) as fc.Arbitrary<Step>;

const cost = fc.record({ blockTokens: finite, seconds: finite }, { noNullPrototype: true });
const evidence = fc.oneof(
  fc.array(fc.tuple(fc.nat(99), lossy), { maxLength: 5 }).chain((scores) =>
    fc.record({
      type: fc.constant("score"),
      step: fc.nat(),
      of: fc.oneof(fc.constant("base"), key),
      sequences: fc.constant(scores.map(([sequence]) => sequence)),
      nll: fc.constant(scores.map(([, nll]) => nll)),
      cost,
    }, { noNullPrototype: true })
  ),
  fc.record({
    type: fc.constant("perturbations"),
    step: fc.nat(),
    values: fc.array(lossy, { maxLength: 5 }),
    cost,
  }, { noNullPrototype: true }),
) as fc.Arbitrary<Evidence>;

const measure = fc.record({
  type: fc.constant("measure"),
  steps: fc.nat(),
  swap: fc.nat(99),
  on: fc.constantFrom("held_out", "block", "width"),
  nll: fc.array(lossy, { maxLength: 5 }),
  cost,
}, {
  noNullPrototype: true,
  requiredKeys: ["type", "steps", "on", "nll", "cost"],
}) as fc.Arbitrary<Measure>;

const ranking = fc.record({
  type: fc.constant("ranking"),
  stage: fc.nat(9),
  dimension: fc.constantFrom("channels", "kvGroups"),
  chosen: fc.constantFrom(...RANKING_NAMES),
  tried: fc.array(
    fc.record(
      { ranking: fc.constantFrom(...RANKING_NAMES), nll: fc.array(lossy, { maxLength: 3 }) },
      { noNullPrototype: true },
    ),
    { maxLength: 3 },
  ),
  units: fc.array(fc.option(fc.array(fc.nat(9), { maxLength: 4 })), { maxLength: 3 }),
  cost,
}, { noNullPrototype: true }) as fc.Arbitrary<RankingLine>;

const judged = {
  steps: fc.nat(99),
  before: fc.array(lossy, { maxLength: 3 }),
  after: fc.array(lossy, { maxLength: 3 }),
  kept: fc.boolean(),
  cost,
};
const refit = fc.oneof(
  fc.record({
    type: fc.constant("refit"),
    layer: fc.nat(9),
    kind: fc.constantFrom("attention", "mlp"),
    folded: fc.nat(3),
    lambda: finite,
    ...judged,
  }, { noNullPrototype: true }),
  fc.record({
    type: fc.constant("local"),
    lambda: finite,
    projections: fc.nat(9),
    ...judged,
  }, { noNullPrototype: true }),
  fc.record({
    type: fc.constant("recovery"),
    local: fc.constant(true),
    ...judged,
  }, {
    requiredKeys: ["type", "steps", "before", "after", "kept", "cost"],
    noNullPrototype: true,
  }),
) as fc.Arbitrary<RecoveryLine>;

const losses = {
  before: fc.array(lossy, { maxLength: 3 }),
  after: fc.array(lossy, { maxLength: 3 }),
};
const swap = fc.oneof(
  fc.record({
    type: fc.constant("swap"),
    steps: fc.nat(99),
    restored: key,
    removed: fc.option(key),
    ratio: finite,
    ...losses,
    validation: fc.option(fc.record(losses, { noNullPrototype: true })),
    kept: fc.option(changes),
    cost,
  }, { noNullPrototype: true }),
  fc.record({
    type: fc.constant("swaps"),
    steps: fc.nat(99),
    tried: fc.nat(9),
    kept: fc.nat(9),
    ...losses,
    cost,
  }, { noNullPrototype: true }),
) as fc.Arbitrary<SwapLine>;

const entry = fc.oneof(step, evidence, measure, ranking, refit, swap);

Deno.test("journal: every entry comes back from its line as it was", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 6 }), (entries) => {
      const lines = entries.map(toJournalLine);
      assert.ok(lines.every((line) => !line.includes("\n")));
      assert.deepEqual(parseJournal(lines, "journal.jsonl"), {
        steps: entries.filter(({ type }) => type === "step"),
        evidence: entries.filter(({ type }) => type === "score" || type === "perturbations"),
        measures: entries.filter(({ type }) => type === "measure"),
        rankings: entries.filter(({ type }) => type === "ranking"),
        refits: entries.filter(({ type }) => ["refit", "local", "recovery"].includes(type)),
        swaps: entries.filter(({ type }) => type === "swap" || type === "swaps"),
      });
    }),
    { numRuns: 200, seed: SEED },
  );
});

Deno.test("journal: a line cut anywhere is refused by its number", () => {
  fc.assert(
    fc.property(step, step, fc.double({ min: 0, max: 1, noNaN: true }), (whole, cut, share) => {
      const line = toJournalLine(cut);
      const torn = line.slice(0, Math.floor(share * (line.length - 1)));
      assert.throws(
        () => parseJournal([toJournalLine(whole), torn, toJournalLine(whole)], "j.jsonl"),
        (error) => error instanceof ResumeError && /^j\.jsonl, line 2: /.test(error.message),
      );
    }),
    { numRuns: 200, seed: SEED },
  );
});

Deno.test("journal: what belongs to no step, or lacks something of one, is refused with its place", () => {
  const [good] = fc.sample(step, { numRuns: 1, seed: SEED });
  const refused = (change: Record<string, unknown>, message: RegExp) =>
    assert.throws(
      () => parseJournal([JSON.stringify({ ...good, ...change })], "j"),
      (error) => error instanceof ResumeError && message.test(error.message),
    );
  refused({ ppl: undefined }, /line 1: at ppl/);
  refused({ ppl: "3" }, /line 1: at ppl/);
  refused({ stage: 7 }, /line 1: at stage/);
  refused({ step: 0.5 }, /line 1: at step/);
  refused({ more: 1 }, /line 1: /);
  refused({ taken: { kind: "mlp", layer: 1, width: 0 } }, /line 1: at taken\.key/);
  refused(
    { taken: { key: "1.mlp", changes: [{ part: "1.mlp", removed: [] }] } },
    /line 1: at taken\.changes\.0\.dimension/,
  );
  refused({ candidates: [{ key: "1.mlp", ppl: "x" }] }, /candidates\.0/);
  refused({ type: "scores" }, /line 1: at type/);
  refused({ type: "score" }, /line 1: at of/);
  refused({ type: "measure" }, /line 1: at steps/);
  const score = { type: "score", step: 0, of: "base", sequences: [1], nll: [2, 3] };
  assert.throws(
    () => parseJournal([JSON.stringify({ ...score, cost: { blockTokens: 1, seconds: 1 } })], "j"),
    /line 1: at nll: 2 values for 1 sequences/,
  );
  for (const line of ["null", "[]", "7", "{}"]) {
    assert.throws(() => parseJournal([line], "j"), ResumeError, line);
  }
});
