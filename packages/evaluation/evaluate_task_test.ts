import { EvaluationError } from "@lopper/core";
import type { Tokenizer } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { prepareTask } from "./evaluate_task.ts";
import { ownTask } from "./tasks/own.ts";

/** Every text has a million tokens. */
const LONG: Tokenizer = {
  encode: (text) => Promise.resolve(new Array<number>(text.length > 4 ? 1e6 + 1 : 1e6).fill(7)),
  decode: () => Promise.resolve(""),
  eosTokenId: null,
  textStart: null,
  [Symbol.dispose]: () => {},
};

Deno.test("tasks: requests have a limit of tokens together, and the question that exceeds it is named", async () => {
  const row = { context: "long", continuation: "end" };
  const task = ownTask("own", row);
  const options = { maxLength: 2e6, addSpecialTokens: false };
  const questions = Array.from({ length: 7 }, () => task.question(row, "row"));
  const { requests } = await prepareTask(task, questions.slice(0, 6), LONG, options);
  assert.equal(requests.length, 6);
  await assert.rejects(prepareTask(task, questions, LONG, options), (error) => {
    assert.ok(error instanceof EvaluationError);
    assert.match(error.message, /^own, question 7: up to here there are 7000007 tokens, .*--limit/);
    return true;
  });
});
