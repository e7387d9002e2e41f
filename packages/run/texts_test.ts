import { UsageError } from "@lopper/core";
import { listOf } from "@lopper/importance";
import { tinyArchitecture } from "@lopper/search/testing";
import assert from "node:assert/strict";
import { runFlags } from "./run_flags.ts";
import type { RunFlags } from "./schemas/flags.ts";
import { cutTexts, textNeeds } from "./texts.ts";

const ARCHITECTURE = tinyArchitecture(1);

function needs(given: Partial<RunFlags>) {
  const flags = runFlags(ARCHITECTURE, { samples: 8, widthSamples: 12, seqLen: 16, ...given });
  const { drawn, extraSamples } = textNeeds(flags, ARCHITECTURE);
  return [drawn, extraSamples];
}

Deno.test("texts: some is kept aside to judge by, and some learnt from, where a setting asks for it", () => {
  const plain = { recover: "none", swap: "none" } as const;
  // Weights rank by themselves; one rule needs nothing to be compared with.
  assert.deepEqual(needs({ ...plain, ranking: "l1" }), [12, 0]);
  assert.deepEqual(needs({ ...plain, ranking: "energy" }), [12, 80]);
  assert.deepEqual(needs({ ...plain, ranking: "compensated" }), [12, 80]);
  assert.deepEqual(needs({ ...plain, ranking: "auto" }), [24, 80]);
  assert.deepEqual(needs({ ...plain, ranking: "l1", recover: "auto" }), [24, 80]);
  assert.deepEqual(needs({ ...plain, ranking: "l1", swap: "auto" }), [24, 0]);
});

Deno.test("texts: sequences that the model does not take are refused", () => {
  assert.throws(
    () => needs({ seqLen: ARCHITECTURE.maxPositions + 1 }),
    (error) => error instanceof UsageError && /this model takes 64 tokens/.test(error.message),
  );
});

const BOS = 1;

/** One token a character, behind BOS. */
const tokenizer: Parameters<typeof cutTexts>[3] = {
  encode: (text, { addSpecialTokens = true } = {}) => {
    const own = [...text].map((c) => c.charCodeAt(0));
    return Promise.resolve(addSpecialTokens ? [BOS, ...own] : own);
  },
  decode: (ids) => Promise.resolve(String.fromCharCode(...ids)),
  eosTokenId: null,
  textStart: null,
  [Symbol.dispose]: () => {},
};

Deno.test("texts: of several held-out texts the same number of tokens, in sequences of their own", async () => {
  const flags = runFlags(ARCHITECTURE, { samples: 8, widthSamples: 4, seqLen: 64 });
  const text = (name: string, characters: number) => ({
    name,
    samples: listOf([name.repeat(characters)]),
  });
  const sources = [{ samples: listOf(Array(200).fill("the river ran past the mill ")), weight: 1 }];
  const cut = (heldOut: Parameters<typeof cutTexts>[0]["heldOut"]) =>
    cutTexts(
      { block: { name: "c", sources }, width: null, heldOut },
      flags,
      ARCHITECTURE,
      tokenizer,
    );
  const { heldOut, heldOutKinds } = await cut([text("a", 5000), text("b", 200), text("c", 5000)]);
  assert.deepEqual(heldOutKinds, [
    { name: "a", passages: 32 },
    { name: "b", passages: 3 },
    { name: "c", passages: 32 },
  ]);
  assert.equal(heldOut.sequences.length, 67);
  const [A, B, C] = ["a", "b", "c"].map((c) => c.charCodeAt(0));
  heldOut.sequences.forEach((ids, i) => {
    const kind = i < 32 ? A : i < 35 ? B : C;
    assert.deepEqual(ids, [BOS, ...Array(63).fill(kind)]);
  });
  assert.deepEqual((await cut(text("a", 5000))).heldOutKinds, []);
  await assert.rejects(
    cut([text("a", 5000), text("b", 10)]),
    /held-out text b: .* has 1[01] tokens/,
  );
});

Deno.test("texts: BOS begins each sequence that is learnt from or judged by, or the first of each set as published, and the held-out text's in any case", async () => {
  const sample = "the river ran past the mill and the lamps were lit ";
  const source = { name: "a", sources: [{ samples: listOf(Array(200).fill(sample)), weight: 1 }] };
  const cut = async (given: Partial<RunFlags>) => {
    const few = { samples: 8, widthSamples: 4, seqLen: 16 };
    const flags = runFlags(ARCHITECTURE, { ...few, ...given });
    const heldOut = { name: "b", samples: listOf([sample.repeat(9)]) };
    const texts = await cutTexts(
      { block: source, width: null, heldOut },
      flags,
      ARCHITECTURE,
      tokenizer,
    );
    assert.deepEqual(texts.textStart, [BOS]);
    const { block, width, extended, validation } = texts;
    const begun = ({ sequences }: typeof block) =>
      sequences.filter(([first]) => first === BOS).length / sequences.length;
    assert.ok(texts.heldOut.sequences.length > 9);
    assert.equal(begun(texts.heldOut), 1);
    return [block, width, extended, validation ?? block].map(begun);
  };
  assert.deepEqual(await cut({}), [1, 1, 1, 1]);
  assert.ok((await cut({ bos: "first" })).every((share) => share > 0 && share < 0.1));
  assert.ok((await cut({ preset: "multipruner" })).every((share) => share > 0 && share < 0.1));
  assert.deepEqual(await cut({ preset: "multipruner", bos: "each" }), [1, 1, 1, 1]);
});
