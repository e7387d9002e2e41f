import { RunFolderError, type RunRecord } from "@lopper/core";
import assert from "node:assert/strict";
import { parseRunRecord, runRecordToJson } from "./record_json.ts";

const RECORD: RunRecord = {
  kind: "lopper-run",
  schema: 1,
  version: "0.2.0",
  modelDigest: "sha256:a",
  prunedDigest: "sha256:b",
  calibrationDigest: { block: "sha256:c", width: "sha256:d" },
  heldOutDigest: "sha256:e",
  flags: {
    model: null,
    ratio: 20,
    targetLatency: null,
    preset: "multipruner",
    distribution: "44:52:4",
    mlpGroup: 64,
    attentionGroup: 96,
    order: "auto",
    recover: "auto",
    swap: "auto",
    criterion: "kl",
    search: "fast",
    fastWithout: "",
    earlierRatios: [5],
    calibration: null,
    calibrationWidth: null,
    samples: 24,
    widthSamples: 12,
    seqLen: 256,
    seed: 42,
    batchTokens: 2048,
    bestEffort: false,
    uniform: false,
    heldOut: "/texts/held out.txt",
    maxPplIncrease: 10,
    export: null,
  },
  plan: null,
  backend: { name: "cpu", engine: "onnxruntime-node", threads: 2 },
  ratio: 20.5,
  parameters: { dense: 100, pruned: 80 },
  bytes: { dense: 200, pruned: 160 },
  latency: {
    target: 4,
    pastTokens: 128,
    predicted: { dense: 5, pruned: 3.9 },
    measured: { dense: 5.25, pruned: 4.125 },
  },
  quantised: { Q4_0: 50 },
  perplexity: { calibration: { dense: 10, pruned: 11 }, heldOut: { dense: 20, pruned: 23 } },
  blockTokens: {
    spent: 10,
    full: 100,
    beside: { predictions: 4, orders: 1, swaps: 2, repairs: 3 },
  },
  wallSeconds: 3.5,
  steps: 2,
  frontier: [
    {
      stage: "blocks",
      kind: "mlp",
      layer: 1,
      width: 0,
      removed: [],
      ratio: 10,
      parameters: 90,
      perplexity: 10.5,
      heldOut: 21,
    },
    {
      stage: "mlp_channels",
      kind: "mlp_channels",
      layer: 0,
      width: 6,
      removed: [2, 3],
      ratio: 20.5,
      parameters: 80,
      perplexity: 11,
      heldOut: null,
    },
  ],
  swaps: [{
    steps: 2,
    tried: 3,
    kept: [{
      restored: { kind: "mlp", layer: 0, width: 8, units: [2, 3] },
      removed: null,
      ratio: 20.25,
      parameters: 81,
      perplexity: 10.75,
      heldOut: null,
    }],
    perplexity: { before: 11, after: 10.75 },
    blockTokens: 4,
  }],
  stopped: { limit: 10, on: "held-out", increase: 15, ratio: 25 },
  recovery: { tried: 3, helped: 2, kept: 0, perplexity: { before: 12.5, after: null } },
  orders: [{ units: "channels", order: "energy", tried: { l1: null, energy: 12.5 } }],
  layers: {
    dense: [{ attention: { queryHeads: 2, kvHeads: 1 }, mlp: { intermediateSize: 8 } }],
    pruned: [{ attention: { queryHeads: 2, kvHeads: 1 }, mlp: null }],
  },
  sample: { prompt: "The sea", dense: "was\nblue", pruned: 'was "the' },
  heldOutSamples: [{ prompt: "Call me", original: "Ishmael.", dense: "a", pruned: "the" }],
  damage: {
    calibration: {
      passages: [{ dense: 3, pruned: 3.5, worst: "a whale" }, { dense: 2, pruned: 2 }],
      tokens: [{ kind: "words", count: 7, dense: 2.5, pruned: 2.75 }],
    },
    heldOut: { passages: [{ dense: 4, pruned: 5 }], tokens: [] },
  },
};

Deno.test("run record: it is read as it was written, with a line for each step and layer", () => {
  const json = runRecordToJson(RECORD);
  assert.deepEqual(parseRunRecord(json, "run.json"), RECORD);
  assert.deepEqual(JSON.parse(json), RECORD);
  assert.equal(json.split("\n").filter((line) => line.includes('"stage"')).length, 2);
  assert.ok(json.includes('"earlierRatios": [5]'));
});

Deno.test("run record: those of earlier versions have defaults, those of later ones keep what is theirs", () => {
  const {
    frontier: _f,
    swaps: _w,
    stopped: _s,
    orders: _o,
    recovery: _r,
    layers: _l,
    sample: _t,
    ...old
  } = RECORD;
  const {
    heldOut: _h,
    maxPplIncrease: _m,
    order: _p,
    recover: _q,
    swap: _x,
    criterion: _c,
    ...flags
  } = RECORD.flags;
  const { beside: _b, ...blockTokens } = RECORD.blockTokens;
  const text = JSON.stringify({ ...old, flags, blockTokens, novelty: [1] });
  const read = parseRunRecord(text, "run.json");
  assert.deepEqual([read.frontier, read.stopped, read.layers.dense], [[], null, []]);
  assert.deepEqual([read.flags.heldOut, read.flags.maxPplIncrease], [null, null]);
  assert.deepEqual([read.flags.swap, read.swaps], ["none", []]);
  assert.equal(read.flags.criterion, "perplexity");
  assert.deepEqual([read.flags.order, read.orders, read.recovery], ["l1", [], null]);
  assert.deepEqual(read.blockTokens, { ...blockTokens, beside: null });
  assert.deepEqual((read as unknown as { novelty: unknown }).novelty, [1]);
});

Deno.test("run record: what is none, or a damaged one, is refused in one sentence", () => {
  const refused = (text: string, message: RegExp) =>
    assert.throws(() => parseRunRecord(text, "x/run.json"), (error) => {
      assert.ok(error instanceof RunFolderError);
      assert.match(error.message, message);
      return true;
    });
  refused("{", /x\/run\.json is damaged: it is not JSON/);
  refused("[1]", /x\/run\.json is not the record of a run of Lopper/);
  refused("null", /not the record/);
  refused('{"kind": "lopper-export", "schema": 1}', /not the record/);
  refused(
    JSON.stringify({ ...RECORD, frontier: [{ ...RECORD.frontier[0], layer: -1 }] }),
    /x\/run\.json: at frontier\.0\.layer: /,
  );
  refused(
    JSON.stringify({ ...RECORD, swaps: [{ ...RECORD.swaps[0], kept: [{ restored: null }] }] }),
    /at swaps\.0\.kept\.0\.restored: /,
  );
  refused(JSON.stringify({ ...RECORD, steps: "two" }), /at steps: /);
});
