import type { ModelSpec, RunFlags } from "@lopper/core";
import assert from "node:assert/strict";
import { resolveFlags } from "./prune_options.ts";

const SPEC: ModelSpec = {
  family: "llama",
  hiddenSize: 32,
  headDim: 8,
  vocabSize: 100,
  maxPositions: 64,
  rmsNormEps: 1e-5,
  tiedEmbeddings: true,
  biases: { qkv: false, output: false, mlp: false },
  qkNorm: false,
  rope: { theta: 10_000, scaling: null },
  slidingWindow: null,
  eosTokenIds: [],
  layers: [{ attention: { queryHeads: 4, kvHeads: 2 }, mlp: { intermediateSize: 64 } }],
};

Deno.test("options: candidates are judged by the dense model, or as the preset or the run to resume was", () => {
  const criterion = (
    options: Partial<Parameters<typeof resolveFlags>[0]>,
    saved?: RunFlags,
  ) => resolveFlags({ backend: "auto", ...options }, "model", SPEC, saved).criterion;
  assert.equal(criterion({}), "kl");
  assert.equal(criterion({ preset: "multipruner" }), "perplexity");
  assert.equal(criterion({ preset: "multipruner", criterion: "kl" }), "kl");
  assert.equal(criterion({ plan: "plan.json" }), "kl", "its repairs are judged as any others");
  const { criterion: _, ...older } = resolveFlags({ backend: "auto" }, "model", SPEC, undefined);
  assert.equal(criterion({}, older as RunFlags), "perplexity", "there was no other once");
  assert.equal(criterion({}, { ...older, criterion: "kl" }), "kl");
});
