import assert from "node:assert/strict";
import {
  type Block,
  denseShape,
  macsOfBlock,
  mainUnits,
  parametersOfBlock,
  unitAxis,
  unitIndices,
  weightShape,
  widestInner,
} from "./block.ts";
import { countParameters, pruningRatio } from "./counts.ts";
import { headsOf } from "./heads.ts";
import {
  type Architecture,
  isUniform,
  keepLayers,
  resizedBlocks,
  withShape,
} from "./architecture.ts";
import { parametersOf } from "./resource.ts";

const HIDDEN = 48;
const query = { dimension: "kvGroups", width: 48 };
const kv = { dimension: "kvGroups", width: 16 };
const channels = { dimension: "channels", width: 1 };

function attention(layer: number, units: number): Block {
  return {
    id: `${layer}.attention`,
    layer,
    kind: "attention",
    dimensions: [{ name: "kvGroups", units }],
    attention: { channels: query, scale: 0.25, rope: null, window: null, softCap: null },
    weights: [
      { name: "norm", axes: [HIDDEN], norm: true },
      { name: "q", axes: [query, HIDDEN] },
      { name: "k", axes: [kv, HIDDEN] },
      { name: "v", axes: [kv, HIDDEN] },
      { name: "o", axes: [HIDDEN, query] },
      { name: "o_bias", axes: [HIDDEN] },
      { name: "q_norm", axes: [query] },
    ],
  };
}

function mlp(layer: number, units: number): Block {
  return {
    id: `${layer}.mlp`,
    layer,
    kind: "mlp",
    dimensions: [{ name: "channels", units }],
    weights: [
      { name: "norm", axes: [HIDDEN], norm: true },
      { name: "up", axes: [channels, HIDDEN] },
      { name: "down", axes: [HIDDEN, channels] },
    ],
  };
}

const ARCHITECTURE: Architecture = {
  family: "toy",
  hiddenSize: HIDDEN,
  headDim: 16,
  vocabSize: 100,
  maxPositions: 64,
  norm: { kind: "rms", eps: 1e-6 },
  outer: ["finalNorm"],
  tiedEmbeddings: true,
  eosTokenIds: [],
  layerCount: 3,
  kinds: ["attention", "mlp"],
  blocks: [attention(0, 2), mlp(0, 40), mlp(1, 24), attention(2, 2)],
};

Deno.test("parameters and multiply-accumulates follow from the axes of the weights", () => {
  const [first, second] = ARCHITECTURE.blocks;
  const ofAttention = (2 * 48 + 2 * 16) * HIDDEN + 48;
  const counted = countParameters(ARCHITECTURE);
  assert.deepEqual(counted, {
    embedding: 100 * HIDDEN,
    lmHead: 0,
    blocks: { attention: 2 * (2 * ofAttention + HIDDEN), mlp: (40 + 24) * 2 * HIDDEN },
    norms: 5 * HIDDEN,
    total: 105 * HIDDEN + 2 * (2 * ofAttention + HIDDEN) + (40 + 24) * 2 * HIDDEN,
  });
  // scores and weighted values of 5 positions on average, each over 48 query channels
  assert.equal(macsOfBlock(first, { kvGroups: 1 }, 9), (2 * 48 + 2 * 16) * HIDDEN + 2 * 5 * 48);
  assert.equal(macsOfBlock(second, { channels: 7 }, 9), 2 * 7 * HIDDEN);
  assert.equal(widestInner(ARCHITECTURE.blocks), 96);
});

Deno.test("of a removed block the published ratio counts the norm, and what is stored does not", () => {
  const shape = denseShape(ARCHITECTURE.blocks).with(1, null).with(3, { kvGroups: 1 });
  const stored = countParameters(ARCHITECTURE, shape);
  assert.equal(stored.norms, 4 * HIDDEN);
  assert.equal(stored.blocks.mlp, 24 * 2 * HIDDEN);
  const kept = countParameters(ARCHITECTURE, shape, { norms: "kept" });
  assert.equal(kept.total - stored.total, HIDDEN);
  const { total } = countParameters(ARCHITECTURE);
  assert.equal(pruningRatio(ARCHITECTURE, shape), (1 - kept.total / total) * 100);
  const resource = parametersOf(ARCHITECTURE);
  assert.equal(resource.amount(shape), kept.total);
  assert.equal(resource.block(1, { channels: 3 }), 3 * 2 * HIDDEN);
});

Deno.test("a narrower block has narrower weights, along the axis that its units lie on", () => {
  const [block] = ARCHITECTURE.blocks;
  const weight = (name: string) => block.weights.find((w) => w.name === name)!;
  assert.deepEqual(weightShape(weight("q"), { kvGroups: 1 }), [48, 48]);
  assert.deepEqual(weightShape(weight("o"), { kvGroups: 1 }), [48, 48]);
  assert.deepEqual(weightShape(weight("k"), { kvGroups: 1 }), [16, 48]);
  assert.deepEqual(weightShape(weight("o_bias"), { kvGroups: 1 }), [48]);
  assert.deepEqual(weightShape(weight("q_norm"), { kvGroups: 1 }), [48]);
  assert.equal(unitAxis(weight("o"))!.at, 1);
  assert.equal(unitAxis(weight("q"))!.at, 0);
  assert.equal(unitAxis(weight("norm")), undefined);
  assert.deepEqual([...unitIndices({ dimension: "x", width: 3 }, [2, 0])], [6, 7, 8, 0, 1, 2]);
});

Deno.test("heads are told by the axes of attention", () => {
  const [block, other] = ARCHITECTURE.blocks;
  assert.deepEqual(headsOf(block), { queryHeads: 6, kvHeads: 2, headDim: 16 });
  assert.deepEqual(headsOf(block, { kvGroups: 1 }), { queryHeads: 3, kvHeads: 1, headDim: 16 });
  assert.throws(() => headsOf(other), /block 0\.mlp has no heads/);
});

Deno.test("what is left of a model is a model, and so are some of its layers", () => {
  const left = withShape(
    ARCHITECTURE,
    denseShape(ARCHITECTURE.blocks).with(0, null).with(1, { channels: 24 }),
  );
  assert.deepEqual(left.blocks, [mlp(0, 24), mlp(1, 24), attention(2, 2)]);
  assert.equal(isUniform(left), false);
  const alike = keepLayers(left, [0, 1]);
  assert.deepEqual([alike.layerCount, alike.blocks], [2, [mlp(0, 24), mlp(1, 24)]]);
  assert.equal(isUniform(alike), false, "attention is gone");
  const both = [0, 1].flatMap((layer) => [attention(layer, 2), mlp(layer, 24)]);
  assert.equal(isUniform({ ...ARCHITECTURE, layerCount: 2, blocks: both }), true);
  assert.equal(
    isUniform({ ...ARCHITECTURE, layerCount: 2, blocks: both.with(3, mlp(1, 23)) }),
    false,
  );
  assert.equal(isUniform({ ...ARCHITECTURE, layerCount: 0, blocks: [] }), false);
  assert.deepEqual(keepLayers(ARCHITECTURE, [2]).blocks, [{
    ...attention(0, 2),
    id: "0.attention",
  }]);
});

Deno.test("a mixture's parameters are those of all experts, its multiply-accumulates those of top-k", () => {
  const experts = { dimension: "experts", width: 1 };
  const mixture: Block = {
    id: "0.experts",
    layer: 0,
    kind: "experts",
    dimensions: [{ name: "experts", units: 6 }],
    routing: { topK: 2, softmaxOver: "all" },
    weights: [
      { name: "norm", axes: [HIDDEN], norm: true },
      { name: "router", axes: [experts, HIDDEN] },
      { name: "up", axes: [experts, 10, HIDDEN], stacked: true },
      { name: "up_bias", axes: [experts, 10], stacked: true },
      { name: "down", axes: [experts, HIDDEN, 10], stacked: true },
      { name: "shared_up", axes: [20, HIDDEN] },
    ],
  };
  const one = 2 * 10 * 48, shared = 20 * 48;
  const count = (size: { experts: number }) => parametersOfBlock(mixture, size, { norms: true });
  assert.equal(count({ experts: 6 }), 48 + 6 * (48 + one + 10) + shared);
  assert.equal(count({ experts: 3 }), 48 + 3 * (48 + one + 10) + shared);
  assert.equal(macsOfBlock(mixture, { experts: 6 }, 100), 6 * 48 + 2 * one + shared);
  assert.equal(macsOfBlock(mixture, { experts: 1 }, 100), 48 + one + shared);
  assert.equal(widestInner([mixture]), 1, "no projection is of all units");
  assert.deepEqual(mainUnits(mixture), { dimension: "experts", width: 1 });
  const [few] = resizedBlocks([mixture], [{ experts: 1 }]);
  assert.equal(few.routing?.topK, 1, "no token goes to more experts than there are");
});
