import { UsageError } from "@lopper/core";
import type { Predictions } from "@lopper/runtime";
import assert from "node:assert/strict";
import type { ReadBatch } from "./criterion.ts";
import { kl } from "./kl.ts";
import { CRITERIA, CRITERION_NAMES, criterionOf } from "./mod.ts";
import { perplexity } from "./perplexity.ts";

const PREDICTIONS = { named: 1 } as unknown as Predictions;
const READ: ReadBatch = {
  nll: () => Promise.resolve(Float32Array.of(1, 2, 3)),
  crossEntropy: (predictions) => {
    assert.equal(predictions, PREDICTIONS);
    return Promise.resolve(Float32Array.of(4, 5, 6));
  },
};

Deno.test("criterion: perplexity is the NLL of the text", async () => {
  assert.deepEqual(await perplexity.loss(READ), Float32Array.of(1, 2, 3));
});

Deno.test("criterion: kl is the dense model's NLL, raised by the KL divergence", async () => {
  // The base is its NLL less the entropy of its predictions.
  const dense = { predictions: PREDICTIONS, base: Float32Array.of(-0.5, 0, 1) };
  assert.deepEqual(await kl.loss(READ, dense), Float32Array.of(3.5, 5, 7));
});

Deno.test("criteria: each is found by its name, and nothing else is", () => {
  for (const criterion of CRITERIA) assert.equal(criterionOf(criterion.name), criterion);
  assert.equal(new Set(CRITERION_NAMES).size, CRITERIA.length);
  assert.throws(
    () => criterionOf("size"),
    (error) => error instanceof UsageError && /"size".*perplexity, kl/.test(error.message),
  );
});
