import assert from "node:assert/strict";
import { aggregate, outcome } from "./metrics.ts";
import type { RequestScore } from "./request_scorer.ts";
import { CASES, questionsOf, taskNamed } from "./testing/cases.ts";
import { answersTo } from "./task.ts";
import { TASKS } from "./tasks/mod.ts";

for (const { name } of TASKS) {
  Deno.test(`metrics: ${name}'s are the harness's`, () => {
    const { scores, metrics } = CASES.tasks[name];
    const questions = questionsOf(name);
    for (const metric of taskNamed(name).metrics) {
      const outcomes = questions.map((question, i) =>
        outcome(
          metric,
          question,
          scores[i].map(([logLikelihood, greedy]) => ({ logLikelihood, greedy })),
        )
      );
      const { value, stderr } = aggregate(metric, outcomes);
      const { value: wanted, stderr: error } = metrics[metric];
      assert.ok(Math.abs(value - wanted) <= 1e-4 * wanted, `${metric} ${value}, not ${wanted}`);
      if (error !== undefined) assert.ok(Math.abs(stderr! - error) < 1e-12, `${metric} ${stderr}`);
    }
  });
}

Deno.test("metrics: of equally likely answers the first counts, and length is in code points", () => {
  const scores = (...values: number[]): RequestScore[] =>
    values.map((logLikelihood) => ({ logLikelihood, greedy: false }));
  const question = answersTo("The sea is", ["🌊🌊", "abc"], 0);
  assert.equal(outcome("acc", question, scores(-3, -3)), 1);
  // -3/2 against -4/3: UTF-16 units, four of them, would make the first the likelier
  assert.equal(outcome("acc_norm", question, scores(-3, -4)), 0);
});

Deno.test("metrics: a single question has no standard error", () => {
  assert.deepEqual(aggregate("acc", [1]), { value: 1, stderr: null });
  assert.deepEqual(aggregate("perplexity", [-Math.log(8)]).stderr, null);
});

Deno.test("metrics: the error of a perplexity is that of the mean, carried over", () => {
  const { value, stderr } = aggregate("perplexity", [-1, -3]);
  assert.ok(Math.abs(value - Math.exp(2)) < 1e-12);
  assert.ok(Math.abs(stderr! - Math.exp(2)) < 1e-12);
});
