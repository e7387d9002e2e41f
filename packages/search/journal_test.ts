import { ResumeError } from "@lopper/core";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Step } from "./greedy.ts";
import { parseJournal, stepToLine } from "./journal.ts";

/** Failing cases are printed with their seed; LOPPER_SEED runs them again. */
const SEED = Number(Deno.env.get("LOPPER_SEED") ?? 5);

const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x === 0 ? 0 : x);
const name = {
  kind: fc.constantFrom("attention", "mlp", "mlp_channels", "attention_heads"),
  layer: fc.nat(200),
  width: fc.nat(20_000),
};
const step = fc.record({
  step: fc.nat(),
  stage: fc.constantFrom("blocks", "mlp_channels", "attention_heads"),
  taken: fc.record(name, { noNullPrototype: true }),
  ppl: finite,
  ratio: finite,
  candidates: fc.array(
    fc.record(
      { ...name, ppl: fc.oneof(finite, fc.constant(NaN)) },
      { noNullPrototype: true },
    ),
    { maxLength: 5 },
  ),
  blockTokens: fc.record({ spent: finite, full: finite }, { noNullPrototype: true }),
  seconds: finite,
}, { noNullPrototype: true }) as fc.Arbitrary<Step>;

Deno.test("journal: every step comes back from its line as it was", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 4 }), (steps) => {
      const lines = steps.map(stepToLine);
      assert.ok(lines.every((line) => !line.includes("\n")));
      assert.deepEqual(parseJournal(lines, "journal.jsonl"), steps);
    }),
    { numRuns: 200, seed: SEED },
  );
});

Deno.test("journal: a line cut anywhere is refused by its number", () => {
  fc.assert(
    fc.property(step, step, fc.double({ min: 0, max: 1, noNaN: true }), (whole, cut, share) => {
      const line = stepToLine(cut);
      const torn = line.slice(0, Math.floor(share * (line.length - 1)));
      assert.throws(
        () => parseJournal([stepToLine(whole), torn, stepToLine(whole)], "j.jsonl"),
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
  refused({ stage: "layers" }, /line 1: at stage/);
  refused({ step: 0.5 }, /line 1: at step/);
  refused({ more: 1 }, /line 1: /);
  refused({ taken: { kind: "mlp", layer: 1 } }, /line 1: at taken\.width/);
  refused({ candidates: [{ kind: "mlp", layer: 1, width: 0, ppl: "x" }] }, /candidates\.0/);
  for (const line of ["null", "[]", "7", "{}"]) {
    assert.throws(() => parseJournal([line], "j"), ResumeError, line);
  }
});
