import { ResumeError, seal } from "@lopper/core";
import assert from "node:assert/strict";
import { parseRunSettings, settingsToJson } from "./settings.ts";
import type { RunSettings } from "./settings.ts";

const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const SETTINGS: RunSettings = {
  kind: "lopper-run-settings",
  schema: 3,
  version: "0.3.0",
  modelDigest: digest("a"),
  calibrationDigest: { block: digest("b"), width: digest("c") },
  heldOutDigest: digest("d"),
  validationDigest: digest("e"),
  extendedDigest: digest("f"),
  backend: "cpu",
  latencies: {
    pastTokens: 128,
    rounds: 9,
    rest: 0.5,
    curves: [
      { kind: "attention", unitWidth: 48, sizes: [1, 2], ms: [0.1, 0.2] },
      { kind: "mlp", unitWidth: 1, sizes: [64, 128], ms: [0.25, 0.3] },
    ],
  },
  plan: { source: "/runs/p", ratio: 10.5, digest: digest("0") },
  flags: {
    model: "/models/tiny",
    ratio: 20,
    targetLatency: 4.5,
    preset: "lopper",
    distribution: "auto",
    mlpGroup: 64,
    attentionGroup: 96,
    expertGroup: null,
    expertsByLayer: false,
    ranking: "auto",
    recover: "auto",
    swap: "none",
    criterion: "kl",
    search: "fast",
    fastWithout: ["lazy", "reuse"],
    earlierRatios: [5, 10],
    calibration: [{ path: "/a.txt", weight: 1 }, { path: "/b.txt", weight: 2 }],
    calibrationWidth: null,
    samples: 16,
    widthSamples: 8,
    seqLen: 256,
    bos: "each",
    seed: 0,
    batchTokens: 2048,
    bestEffort: false,
    uniform: false,
    heldOut: "/texts/held out.txt",
    maxPplIncrease: 10,
    export: "gguf",
    dtype: null,
    quantize: "q8_0",
    rounding: null,
  },
};

async function refused(text: string, message: RegExp) {
  await assert.rejects(parseRunSettings(text, "x/settings.json"), (error) => {
    assert.ok(error instanceof ResumeError, String(error));
    assert.match(error.message, message);
    assert.ok(error.message.startsWith("x/settings.json") && !error.message.includes("\n"));
    return true;
  });
}

Deno.test("settings: they are read as they were written", async () => {
  assert.deepEqual(await parseRunSettings(await settingsToJson(SETTINGS), "s"), SETTINGS);
  const {
    heldOutDigest: _h,
    validationDigest: _a,
    extendedDigest: _f,
    latencies: _l,
    plan: _p,
    ...plain
  } = SETTINGS;
  assert.deepEqual(await parseRunSettings(await settingsToJson(plain), "s"), plain);
});

Deno.test("settings: runs of before there was a choice began their first sequences with BOS", async () => {
  const { bos: _, ...flags } = SETTINGS.flags;
  const text = JSON.stringify(await seal({ ...SETTINGS, flags }));
  assert.equal((await parseRunSettings(text, "s")).flags.bos, "first");
});

Deno.test("settings: any value that was changed is noticed, and what is none, or of another version", async () => {
  const text = await settingsToJson(SETTINGS);
  for (const [from, to] of [['"seed": 0', '"seed": 1'], ["0.25", "0.26"], ['"a', '"b']]) {
    assert.notEqual(text.replace(from, to), text);
    await refused(text.replace(from, to), /settings\.json was changed since Lopper wrote it/);
  }
  await refused(text.replace(/,\s*"checksum": "\w+"/, ""), /was changed since/);
  await refused(
    text.replace('"schema": 3', '"schema": 2'),
    /of another version of Lopper \(its form is 2, this one reads 3\)/,
  );
  await refused(text.slice(0, 100), /is damaged: not JSON/);
  await refused("[".repeat(100_000), /is damaged/);
  for (const none of ["null", "[]", "7", "{}", '{"kind": "lopper-run"}']) {
    await refused(none, /is not the settings of a run of Lopper/);
  }
});

Deno.test("settings: what is sealed anew is checked key by key", async () => {
  const changed = async (change: object) => JSON.stringify(await seal({ ...SETTINGS, ...change }));
  const { flags, latencies } = SETTINGS;
  await refused(await changed({ more: 1 }), /at the top: .*"more"/);
  await refused(await changed({ modelDigest: "sha256:a" }), /at modelDigest: /);
  await refused(await changed({ flags: { ...flags, more: 1 } }), /at flags: .*"more"/);
  for (
    const [key, values] of Object.entries({
      ratio: [-1, 100, "20", null],
      samples: [0, 1.5, -3, 2 ** 60],
      seqLen: [1],
      seed: [-1, 0.5],
      earlierRatios: [5, ["5"]],
      bestEffort: ["no"],
      export: [{ format: "gguf" }, "constructor"],
      maxPplIncrease: [0, -5],
    })
  ) {
    for (const value of values) {
      const at = new RegExp(`at flags\\.${key}`);
      await refused(await changed({ flags: { ...flags, [key]: value } }), at);
    }
    const { [key as keyof typeof flags]: _, ...without } = flags;
    await refused(await changed({ flags: without }), new RegExp(`at flags\\.${key}: `));
  }
  const table = (curve: object) =>
    changed({ latencies: { ...latencies, curves: [{ kind: "mlp", unitWidth: 1, ...curve }] } });
  const unequal = /at latencies\.curves\.0: sizes need to ascend/;
  await refused(await table({ sizes: [2, 1], ms: [1, 2] }), unequal);
  await refused(await table({ sizes: [1, 2], ms: [1] }), unequal);
  await refused(await table({ sizes: [1], ms: [-1] }), /at latencies\.curves\.0\.ms\.0/);
});
