import { RunFolderError, seal } from "@lopper/core";
import assert from "node:assert/strict";
import { parseRunRecord, runRecordToJson } from "./record.ts";
import type { RunRecord } from "./record.ts";

const RECORD: RunRecord = {
  kind: "lopper-run",
  schema: 3,
  version: "0.3.0",
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
    expertGroup: null,
    expertsByLayer: false,
    ranking: "auto",
    recover: "auto",
    swap: "auto",
    criterion: "kl",
    search: "fast",
    fastWithout: [],
    earlierRatios: [5],
    calibration: null,
    calibrationWidth: null,
    samples: 24,
    widthSamples: 12,
    seqLen: 256,
    bos: "each",
    seed: 42,
    batchTokens: 2048,
    bestEffort: false,
    uniform: false,
    heldOut: "/texts/held out.txt",
    maxPplIncrease: 10,
    export: null,
    dtype: null,
    quantize: null,
    rounding: null,
  },
  plan: null,
  planDigest: "sha256:f",
  journal: "0123456789abcdef",
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
    overhead: { predictions: 4, rankings: 1, swaps: 2, refits: 3 },
  },
  wallSeconds: 3.5,
  files: ["model.safetensors", "lopper_plan.json"],
  steps: 2,
  frontier: [
    {
      stage: "blocks",
      changes: [{ part: "1.mlp", dimension: null, removed: [] }],
      ratio: 10,
      parameters: 90,
      perplexity: 10.5,
      heldOut: 21,
    },
    {
      stage: "channels",
      changes: [{ part: "0.mlp", dimension: "channels", removed: [2, 3] }],
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
      changes: [{ part: "0.mlp", dimension: "channels", removed: [], restored: [2, 3] }],
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
  rankings: [{ dimension: "channels", ranking: "energy", tried: { l1: null, energy: 12.5 } }],
  layers: {
    dense: [{ attention: { queryHeads: 2, kvHeads: 1 }, mlp: { intermediateSize: 8 } }],
    pruned: [{ attention: { queryHeads: 2, kvHeads: 1 }, mlp: null }],
  },
  sample: { prompt: "The sea", dense: "was\nblue", pruned: 'was "the' },
  heldOutSamples: [{ prompt: "Call me", original: "Ishmael.", dense: "a", pruned: "the" }],
  lossIncrease: {
    calibration: {
      passages: [{ dense: 3, pruned: 3.5, worst: "a whale" }, { dense: 2, pruned: 2 }],
      tokens: [{ kind: "words", count: 7, dense: 2.5, pruned: 2.75 }],
    },
    heldOut: { passages: [{ dense: 4, pruned: 5 }], tokens: [] },
  },
};

Deno.test("run record: it is read as it was written, with a line for each step and layer", async () => {
  const json = await runRecordToJson(RECORD);
  assert.deepEqual(await parseRunRecord(json, "run.json"), RECORD);
  const { checksum, ...rest } = JSON.parse(json);
  assert.deepEqual(rest, RECORD);
  assert.match(checksum, /^[0-9a-f]{16}$/);
  assert.equal(json.split("\n").filter((line) => line.includes('"stage"')).length, 2);
  assert.ok(json.includes('"earlierRatios": [5]'));
  // what is not finite is written as null, and what is undefined not at all
  const lossy = { ...RECORD, bytes: { dense: NaN, pruned: Infinity }, quantised: undefined };
  const back = parseRunRecord(await runRecordToJson({ ...lossy, quantised: null }), "run.json");
  assert.deepEqual((await back).bytes, { dense: NaN, pruned: NaN });
});

async function refused(text: string, message: RegExp) {
  await assert.rejects(parseRunRecord(text, "x/run.json"), (error) => {
    assert.ok(error instanceof RunFolderError, String(error));
    assert.match(error.message, message);
    assert.ok(!error.message.includes("\n"), error.message);
    return true;
  });
}

Deno.test("run record: what is none, a damaged one, or of another version is refused in one sentence", async () => {
  await refused("{", /x\/run\.json is damaged: not JSON/);
  await refused('{"kind": "lopper-run", "kind": "lopper-run"}', /it has the key "kind" twice/);
  await refused("[1]", /x\/run\.json is not the record of a run of Lopper/);
  await refused("null", /not the record/);
  await refused('{"kind": "lopper-export", "schema": 1}', /not the record/);
  await refused(
    JSON.stringify({ kind: "lopper-run", schema: 2, version: "0.2.0" }),
    /another version of Lopper \(its form is 2, this one reads 3\), .* the model beside it is good as it is/,
  );
});

Deno.test("run record: a value that was changed, taken out or put in is noticed", async () => {
  const text = await runRecordToJson(RECORD);
  for (
    const [from, to] of [
      ['"ratio": 20,', '"ratio": 19,'],
      ['"perplexity":10.5', '"perplexity":10.4'],
      ['  "wallSeconds": 3.5,\n', ""],
      ['"kept": 0', '"kept": 1'],
      ["was\\nblue", "was\\nred"],
      ['"steps": 2', '"steps": 2, "more": 1'],
    ]
  ) {
    assert.notEqual(text.replace(from, to), text, from);
    await refused(text.replace(from, to), /run\.json was changed since Lopper wrote it/);
  }
  // white space is no change
  assert.deepEqual(await parseRunRecord(JSON.stringify(JSON.parse(text)), "run.json"), RECORD);
});

Deno.test("run record: what is sealed anew is checked key by key", async () => {
  const changed = async (change: object) => JSON.stringify(await seal({ ...RECORD, ...change }));
  await refused(
    await changed({ frontier: [{ ...RECORD.frontier[0], changes: [{ part: 1 }] }] }),
    /x\/run\.json: at frontier\.0\.changes\.0\.part: /,
  );
  await refused(
    await changed({ swaps: [{ ...RECORD.swaps[0], kept: [{ changes: null }] }] }),
    /at swaps\.0\.kept\.0\.changes: /,
  );
  await refused(await changed({ steps: "two" }), /at steps: /);
  await refused(await changed({ novelty: [1] }), /at the top: .*"novelty"/);
  for (const key of Object.keys(RECORD).filter((key) => !["kind", "schema"].includes(key))) {
    await refused(await changed({ [key]: undefined }), new RegExp(`run\\.json: at ${key}: `));
  }
});

Deno.test("run record: routing by text is read as it was written, and need not be there", async () => {
  const routing = {
    texts: [{ name: "a.txt", tokens: 64 }, { name: "b.txt", tokens: 0 }],
    layers: [{ layer: 1, removed: [0.25, null], most: [0, null] }],
  };
  const text = await runRecordToJson({ ...RECORD, routing });
  assert.deepEqual((await parseRunRecord(text, "run.json")).routing, routing);
  assert.equal((await parseRunRecord(await runRecordToJson(RECORD), "r")).routing, undefined);
  const [layer] = routing.layers;
  for (
    const wrong of [
      { ...routing, layers: [] },
      { ...routing, layers: [{ ...layer, removed: [0.25] }] },
      { ...routing, layers: [{ ...layer, most: [2] }] },
    ]
  ) {
    const text = JSON.stringify(await seal({ ...RECORD, routing: wrong }));
    await refused(text, /at routing: each layer needs a share for each text/);
  }
});
