import { EvaluationError } from "@lopper/core";
import assert from "node:assert/strict";
import { encodeRequest } from "./encode.ts";
import { CASES, questionsOf, testTokenizer } from "./testing/cases.ts";
import { TASKS } from "./tasks/mod.ts";

const all = { maxLength: 512, addSpecialTokens: true };

Deno.test("encoding: the tokens of every task's requests are the harness's", async () => {
  const tokenizer = await testTokenizer("demo");
  for (const { name } of TASKS) {
    const found = questionsOf(name).map(({ requests }) =>
      requests.map((request) => {
        const { tokens, scored } = encodeRequest(request, tokenizer, all);
        return [tokens, scored];
      })
    );
    assert.deepEqual(found, CASES.tasks[name].tokens, name);
  }
});

for (const [name, { pairs, tokens }] of Object.entries(CASES.pairs)) {
  Deno.test(`encoding: awkward requests with the tokenizer ${name}`, async () => {
    const tokenizer = await testTokenizer(name);
    const found = pairs.map(([context, continuation]) => {
      const request = encodeRequest({ context, continuation }, tokenizer, all);
      return [request.tokens, request.scored];
    });
    assert.deepEqual(found, tokens);
  });
}

Deno.test("encoding: of too many tokens the last stay, and a continuation needs to fit", async () => {
  const tokenizer = await testTokenizer("demo");
  const request = { context: "The old captain looked at the sea", continuation: " and the sky" };
  const { tokens, scored } = encodeRequest(request, tokenizer, all);
  const cut = encodeRequest(request, tokenizer, { ...all, maxLength: scored });
  assert.deepEqual(cut, { tokens: tokens.slice(-scored - 1), scored });
  const encode = (changes: Partial<typeof request>, maxLength = 512) => () =>
    encodeRequest({ ...request, ...changes }, tokenizer, { ...all, maxLength });
  assert.throws(encode({}, scored - 1), EvaluationError);
  assert.throws(encode({ continuation: "" }), EvaluationError);
  assert.throws(encode({ context: "", continuation: "" }), EvaluationError);
});

Deno.test("encoding: special tokens in front can be left out", async () => {
  const tokenizer = await testTokenizer("byte-bpe-bos");
  const request = { context: "the tree", continuation: " apple" };
  const [bos, ...rest] = encodeRequest(request, tokenizer, all).tokens;
  assert.equal(bos, tokenizer.textStart?.id);
  const without = encodeRequest(request, tokenizer, { ...all, addSpecialTokens: false });
  assert.deepEqual(without.tokens, rest);
});
