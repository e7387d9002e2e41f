import assert from "node:assert/strict";
import { macsOfBlock, parametersOfBlock, unitAxis, unitIndices, weightShape } from "./block.ts";
import { blocksOf } from "./blocks_of.ts";
import { blockMacs, countParameters } from "./counts.ts";
import type { ModelSpec } from "./model_spec.ts";

const SPEC: ModelSpec = {
  family: "qwen3",
  hiddenSize: 48,
  headDim: 16,
  vocabSize: 100,
  maxPositions: 64,
  rmsNormEps: 1e-6,
  tiedEmbeddings: true,
  biases: { qkv: true, output: true, mlp: true },
  qkNorm: true,
  rope: { theta: 10_000, scaling: null },
  slidingWindow: null,
  eosTokenIds: [],
  layers: [
    { attention: { queryHeads: 6, kvHeads: 2 }, mlp: { intermediateSize: 40 } },
    { attention: null, mlp: { intermediateSize: 24 } },
    { attention: { queryHeads: 2, kvHeads: 2 }, mlp: null },
  ],
};

Deno.test("a model has the blocks that it has, layer by layer, and each is named", () => {
  assert.deepEqual(blocksOf(SPEC).map(({ id }) => id), [
    "0.attention",
    "0.mlp",
    "1.mlp",
    "2.attention",
  ]);
});

Deno.test("parameters and multiply-accumulates follow from the axes of the weights", () => {
  const blocks = blocksOf(SPEC);
  const [attention, mlp] = blocks;
  const kind = (kind: string, norms: boolean) =>
    blocks.filter((b) => b.kind === kind).reduce(
      (sum, b) =>
        sum + parametersOfBlock(b, { kvGroups: 2, channels: b.layer === 0 ? 40 : 24 }, { norms }),
      0,
    );
  const counted = countParameters(SPEC);
  assert.equal(kind("attention", false), counted.attention);
  assert.equal(kind("mlp", false), counted.mlp);
  assert.equal(kind("mlp", true) - kind("mlp", false), 2 * SPEC.hiddenSize);
  const layer = { attention: { queryHeads: 3, kvHeads: 1 }, mlp: { intermediateSize: 7 } };
  assert.equal(macsOfBlock(attention, { kvGroups: 1 }, 9), blockMacs(SPEC, layer, "attention", 9));
  assert.equal(macsOfBlock(mlp, { channels: 7 }, 9), blockMacs(SPEC, layer, "mlp", 9));
});

Deno.test("a norm over all query heads has a weight for each of their channels, and gets narrower with them", () => {
  const spec: ModelSpec = { ...SPEC, qkNorm: "full", placement: "post" };
  const [attention, mlp] = blocksOf(spec);
  const shapes = ["q_norm", "k_norm"].map((name) =>
    weightShape(attention.weights.find((w) => w.name === name)!, { kvGroups: 1 })
  );
  assert.deepEqual(shapes, [[48], [16]]);
  assert.deepEqual([attention.placement, mlp.placement], ["post", "post"]);
  const parameters = [SPEC, spec].map((s) => countParameters(s).attention);
  assert.equal(parameters[1] - parameters[0], (6 + 2 + 2 + 2) * 16 - 2 * 2 * 16);
});

Deno.test("a narrower block has narrower weights, along the axis that its units lie on", () => {
  const [attention] = blocksOf(SPEC);
  const weight = (name: string) => attention.weights.find((w) => w.name === name)!;
  assert.deepEqual(weightShape(weight("q"), { kvGroups: 1 }), [48, 48]);
  assert.deepEqual(weightShape(weight("o"), { kvGroups: 1 }), [48, 48]);
  assert.deepEqual(weightShape(weight("k"), { kvGroups: 1 }), [16, 48]);
  assert.deepEqual(weightShape(weight("o_bias"), { kvGroups: 1 }), [48]);
  assert.equal(unitAxis(weight("o"))!.at, 1);
  assert.equal(unitAxis(weight("q"))!.at, 0);
  assert.equal(unitAxis(weight("norm")), undefined);
  assert.deepEqual([...unitIndices({ dimension: "x", width: 3 }, [2, 0])], [6, 7, 8, 0, 1, 2]);
});
