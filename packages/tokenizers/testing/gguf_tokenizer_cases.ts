/** The ids that llama.cpp gives awkward texts (scripts/oracles/make_gguf_tokenizers.py). */
import assert from "node:assert/strict";
import type { Tokenizer } from "../tokenizer.ts";

interface Expected {
  readonly texts: readonly string[];
  readonly ids: Readonly<
    Record<string, {
      readonly before: readonly number[];
      readonly after: readonly number[];
      readonly ids: readonly (readonly number[])[];
    }>
  >;
}

/** Compares a tokenizer with what is expected of the one of that name. */
export async function checkTokenizer(tokenizer: Tokenizer, name: string, json: string) {
  const { texts, ids }: Expected = JSON.parse(json);
  const expected = ids[name];
  assert.ok(texts.length > 300);
  const different: unknown[] = [];
  for (const [i, text] of texts.entries()) {
    const plain = expected.ids[i];
    const want = { text, plain, whole: [...expected.before, ...plain, ...expected.after] };
    const got = {
      text,
      plain: await tokenizer.encode(text, { addSpecialTokens: false }),
      whole: await tokenizer.encode(text),
    };
    if (JSON.stringify(got) !== JSON.stringify(want)) different.push({ got, want });
  }
  assert.deepEqual(different.map((d) => JSON.stringify(d)), []);
}
