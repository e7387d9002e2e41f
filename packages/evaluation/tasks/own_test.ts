import { EvaluationError } from "@lopper/core";
import assert from "node:assert/strict";
import { ownTask } from "./own.ts";

Deno.test("own tasks: the first row decides the form, the others have to have it", () => {
  const choice = { context: "The sea is", choices: ["salt", "sweet 🌊"], answer: 1 };
  const task = ownTask("sea", choice);
  assert.deepEqual(task.metrics, ["acc", "acc_norm"]);
  assert.deepEqual(task.question(choice, "row 1"), {
    kind: "choice",
    requests: [
      { context: "The sea is", continuation: " salt" },
      { context: "The sea is", continuation: " sweet 🌊" },
    ],
    gold: 1,
    lengths: [4, 7],
  });
  const filled = { contexts: ["The sea", "The sun"], continuation: "is wet.", answer: 0 };
  assert.deepEqual(ownTask("sea", filled).metrics, ["acc"]);
  assert.deepEqual(ownTask("sea", filled).question(filled, "row 1").requests, [
    { context: "The sea", continuation: " is wet." },
    { context: "The sun", continuation: " is wet." },
  ]);
  const cloze = { context: "The sea is", continuation: "salt" };
  assert.deepEqual(ownTask("sea", cloze).metrics, ["acc", "perplexity"]);
  assert.deepEqual(ownTask("sea", cloze).question(cloze, "row 1"), {
    kind: "cloze",
    requests: [{ context: "The sea is", continuation: " salt" }],
  });
  for (
    const [first, row] of [
      [choice, cloze],
      [cloze, choice],
      [choice, { ...choice, answer: 2 }],
      [choice, { ...choice, choices: ["one"] }],
      [choice, { ...choice, gold: 1 }],
      [7, 7],
    ]
  ) {
    assert.throws(() => ownTask("sea", first).question(row, "row 2"), EvaluationError);
  }
});
