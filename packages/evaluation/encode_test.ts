import { EvaluationError } from "@lopper/core";
import assert from "node:assert/strict";
import { encodeRequest } from "./encode.ts";
import { CASES, questionsOf, testTokenizer } from "./testing/cases.ts";
import { TASKS } from "./tasks/mod.ts";

const all = { maxLength: 512, addSpecialTokens: true };

Deno.test("encoding: the tokens of every task's requests are the harness's", async () => {
  using tokenizer = await testTokenizer("demo");
  for (const { name } of TASKS) {
    const found = await Promise.all(
      questionsOf(name).map(({ requests }) =>
        Promise.all(requests.map(async (request) => {
          const { tokens, scored } = await encodeRequest(request, tokenizer, all);
          return [tokens, scored];
        }))
      ),
    );
    assert.deepEqual(found, CASES.tasks[name].tokens, name);
  }
});

for (const [name, { pairs, tokens }] of Object.entries(CASES.pairs)) {
  Deno.test(`encoding: awkward requests with the tokenizer ${name}`, async () => {
    using tokenizer = await testTokenizer(name);
    const found = await Promise.all(pairs.map(async ([context, continuation]) => {
      const request = await encodeRequest({ context, continuation }, tokenizer, all);
      return [request.tokens, request.scored];
    }));
    assert.deepEqual(found, tokens);
  });
}

Deno.test("encoding: of too many tokens the last stay, and a continuation needs to fit", async () => {
  using tokenizer = await testTokenizer("demo");
  const request = { context: "The old captain looked at the sea", continuation: " and the sky" };
  const { tokens, scored } = await encodeRequest(request, tokenizer, all);
  const cut = await encodeRequest(request, tokenizer, { ...all, maxLength: scored });
  const omitted = tokens.length - scored - 1;
  assert.deepEqual(cut, { tokens: tokens.slice(-scored - 1), scored, omitted });
  const fits = await encodeRequest(request, tokenizer, { ...all, maxLength: tokens.length - 1 });
  assert.deepEqual(fits, { tokens, scored, omitted: 0 });
  const encode = (changes: Partial<typeof request>, maxLength = 512) =>
    encodeRequest({ ...request, ...changes }, tokenizer, { ...all, maxLength });
  await assert.rejects(encode({}, scored - 1), EvaluationError);
  await assert.rejects(encode({ continuation: "" }), EvaluationError);
  await assert.rejects(encode({ context: "", continuation: "" }), EvaluationError);
});

Deno.test("encoding: special tokens in front can be left out", async () => {
  using tokenizer = await testTokenizer("byte-bpe-bos");
  const request = { context: "the tree", continuation: " apple" };
  const [bos, ...rest] = (await encodeRequest(request, tokenizer, all)).tokens;
  assert.equal(bos, tokenizer.textStart?.id);
  const without = await encodeRequest(request, tokenizer, { ...all, addSpecialTokens: false });
  assert.deepEqual(without.tokens, rest);
});
