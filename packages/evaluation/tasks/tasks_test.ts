import { EvaluationError } from "@lopper/core";
import assert from "node:assert/strict";
import { sharedPath } from "../../../tests/support/shared_data.ts";
import { MemorySource } from "@lopper/formats";
import { readRows } from "../rows.ts";
import { CASES, questionsOf, taskNamed } from "../testing/cases.ts";
import { TASKS } from "./mod.ts";

for (const { name } of TASKS) {
  Deno.test(`tasks: ${name} asks what lm-evaluation-harness asks`, () => {
    const asked = questionsOf(name).map(({ requests }) =>
      requests.map(({ context, continuation }) => [context, continuation])
    );
    assert.deepEqual(asked, CASES.tasks[name].requests);
  });
}

Deno.test("tasks: the hub's columns say what the publishers' files say", () => {
  const stem = "Which of these floats?";
  const answers = { text: ["a stone", "a cork"], label: ["1", "2"] };
  const published = {
    question: {
      stem,
      choices: answers.text.map((text, i) => ({ text, label: answers.label[i] })),
    },
    answerKey: "2",
  };
  const same = (name: string, a: unknown, b: unknown) =>
    assert.deepEqual(taskNamed(name).question(a, "a"), taskNamed(name).question(b, "b"));
  same("arc_easy", published, { question: stem, choices: answers, answerKey: "2" });
  same("openbookqa", published, { question_stem: stem, choices: answers, answerKey: " 2" });
  const boolq = { passage: "The sea is salt.", question: "is the sea salt" };
  for (const yes of [{ label: 1 }, { label: 1n }, { label: "true" }, { answer: true }]) {
    same("boolq", { ...boolq, label: true }, { ...boolq, ...yes });
  }
  const coat = { goal: "Dry a coat", sol1: "Hang it up", sol2: "Eat it" };
  same("piqa", { ...coat, label: 0 }, { ...coat, label: 0n });
});

Deno.test("tasks: a row that is of no known form says where it stands and what is wrong", () => {
  const refuses = (name: string, row: unknown, message: RegExp) =>
    assert.throws(() => taskNamed(name).question(row, "x.jsonl, row 7"), (error: Error) => {
      assert.ok(error instanceof EvaluationError);
      assert.match(error.message, /^x\.jsonl, row 7: /);
      assert.match(error.message, message);
      return true;
    });
  refuses("piqa", { goal: "a", sol1: "b", label: 0 }, /field sol2/);
  refuses("piqa", { goal: "a", sol1: "b", sol2: "c", label: 2 }, /number 2 of 2/);
  refuses("piqa", { goal: "a", sol1: "b", sol2: "c", label: -1 }, /number -1/);
  refuses("piqa", null, /the row/);
  refuses("winogrande", { sentence: "no blank", option1: "a", option2: "b", answer: "1" }, /blank/);
  refuses("hellaswag", { query: "a" }, /field activity_label/);
  const choices = { text: ["a", "b"], label: ["A", "B"] };
  refuses("arc_easy", { question: "q", choices, answerKey: "C" }, /answerKey is "C"/);
  refuses("arc_easy", { choices, answerKey: "A" }, /no field question/);
  refuses("boolq", { passage: "p", question: "q" }, /number NaN/);
  refuses("lambada_openai", { txt: "a" }, /field text/);
});

Deno.test("tasks: HellaSwag's clean-up turns all raw rows at hand into the cleaned ones", async () => {
  const raw = sharedPath("datasets/hellaswag/hellaswag_val_raw_sample.jsonl.gz", "this test");
  const cleaned = sharedPath("datasets/hellaswag/hellaswag_val_harness.jsonl.gz", "this test");
  if (raw === null || cleaned === null) return;
  const rows = async (path: string) =>
    (await readRows(new MemorySource(path, await Deno.readFile(path)))).rows;
  const [rawRows, cleanedRows] = [await rows(raw), await rows(cleaned)];
  const task = taskNamed("hellaswag");
  assert.equal(rawRows.length, 1000);
  for (const row of rawRows as { row: number }[]) {
    assert.deepEqual(
      task.question(row, "raw"),
      task.question(cleanedRows[row.row], "cleaned"),
      `row ${row.row}`,
    );
  }
});
