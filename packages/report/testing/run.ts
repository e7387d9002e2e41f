import type { Change } from "@lopper/core";
import type { LayerSizes } from "@lopper/models";
import type { CandidateKey, History } from "@lopper/search";
import type { RunRecord } from "@lopper/run";
import type { CardScores } from "@lopper/card";
import type { ReportRun } from "../report_run.ts";

const WHOLE: LayerSizes = {
  attention: { queryHeads: 4, kvHeads: 2 },
  mlp: { intermediateSize: 64 },
};
/** What the steps take. */
const GONE: Change = { part: "1.mlp", dimension: null, removed: [] };
const NARROWED: Change = { part: "2.mlp", dimension: "channels", removed: range(16) };
const HEADLESS: Change = { part: "0.attention", dimension: "kvGroups", removed: [0] };
const digest = (digit: string) => `sha256:${digit.repeat(64)}`;

/**
 * A run of a model of three layers, with figures that can be checked by hand: the MLP of layer 1
 * goes first, then 16 channels of layer 2, then a KV group of layer 0.
 */
export function tinyRun(change: Partial<RunRecord> = {}): ReportRun {
  const record: RunRecord = {
    kind: "lopper-run",
    schema: 3,
    version: "0.3.0",
    modelDigest: digest("a"),
    prunedDigest: digest("b"),
    calibrationDigest: { block: digest("c"), width: digest("d") },
    heldOutDigest: digest("e"),
    flags: {
      model: "/models/tiny",
      ratio: 20,
      targetLatency: null,
      preset: "multipruner",
      distribution: "44:52:4",
      mlpGroup: 16,
      attentionGroup: 32,
      expertGroup: null,
      expertsByLayer: false,
      ranking: "l1",
      recover: "none",
      swap: "none",
      criterion: "perplexity",
      search: "fast",
      fastWithout: [],
      earlierRatios: [],
      calibration: null,
      calibrationWidth: null,
      samples: 4,
      widthSamples: 2,
      seqLen: 64,
      bos: "each",
      seed: 42,
      batchTokens: 2048,
      bestEffort: false,
      uniform: false,
      heldOut: "/texts/held_out.txt",
      maxPplIncrease: null,
      export: null,
      dtype: null,
      quantize: null,
      rounding: null,
    },
    plan: null,
    planDigest: digest("f"),
    journal: null,
    backend: { name: "cpu", engine: "an engine 1.0", threads: 2 },
    ratio: 21.5,
    parameters: { dense: 100_000, pruned: 78_000 },
    bytes: { dense: 200_000, pruned: 156_000 },
    latency: null,
    quantised: null,
    perplexity: {
      calibration: { dense: 20, pruned: 22 },
      heldOut: { dense: 40, pruned: 46 },
    },
    blockTokens: {
      spent: 3500,
      full: 14_000,
      overhead: { predictions: 0, rankings: 0, swaps: 0, refits: 0 },
    },
    wallSeconds: 75,
    files: ["config.json", "model.safetensors"],
    steps: 3,
    frontier: [
      step("blocks", GONE, [12, 88_000, 21, 42]),
      step("channels", NARROWED, [16, 84_000, 23, 44]),
      step("kvGroups", HEADLESS, [21.5, 78_000, 24, 46]),
    ],
    swaps: [],
    stopped: null,
    rankings: [],
    recovery: null,
    layers: {
      dense: [WHOLE, WHOLE, WHOLE],
      pruned: [
        { ...WHOLE, attention: { queryHeads: 2, kvHeads: 1 } },
        { ...WHOLE, mlp: null },
        { ...WHOLE, mlp: { intermediateSize: 48 } },
      ],
    },
    sample: { prompt: "Once upon a time", dense: "there was a ship", pruned: "the the ship" },
    heldOutSamples: [{
      prompt: "Call me",
      original: "Ishmael. Some years ago",
      dense: "a ship. Some years",
      pruned: "a a a",
    }],
    lossIncrease: {
      calibration: {
        passages: [{ dense: 3, pruned: 3.02 }, { dense: 3, pruned: 2.99, worst: "a ship" }],
        tokens: [{ kind: "words", count: 126, dense: 3, pruned: 3.005 }],
      },
      heldOut: {
        passages: [
          { dense: 3.6, pruned: 3.7, worst: "the whale" },
          { dense: 3.8, pruned: 4, worst: "the harpoon" },
          { dense: 3.8, pruned: 3.75 },
        ],
        tokens: [
          { kind: "words", count: 100, dense: 3.5, pruned: 3.625 },
          { kind: "numbers", count: 26, dense: 4, pruned: 4.5 },
        ],
      },
    },
    ...change,
  };
  return {
    model: "tiny",
    name: "tiny-20",
    record,
    plan: {
      modelDigest: record.modelDigest,
      removalOrder: [{ layer: 1, kind: "mlp" }],
      layers: [
        { attention: { kvGroups: [1] }, mlp: { channels: range(64) } },
        { attention: { kvGroups: [0, 1] }, mlp: "removed" },
        { attention: { kvGroups: [0, 1] }, mlp: { channels: range(48) } },
      ],
    },
    history: HISTORY,
    scores: null,
    commands: ["deno task prune /models/tiny --ratio 20"],
  };
}

/** What `tinyRun` did to three tasks: one lost, one may have gained, one is a perplexity. */
export const SCORES: CardScores = {
  tasks: [
    {
      task: "piqa",
      metric: "acc_norm",
      questions: 200,
      available: 1838,
      dense: 0.655,
      pruned: 0.55,
      difference: { value: -0.105, low: -0.16, high: -0.05 },
    },
    {
      task: "winogrande",
      metric: "acc",
      questions: 1267,
      available: 1267,
      dense: 0.5,
      pruned: 0.51,
      difference: { value: 0.01, low: -0.03, high: 0.05 },
    },
    {
      task: "lambada_openai",
      metric: "perplexity",
      questions: 1,
      available: 1,
      dense: 20,
      pruned: 30,
      difference: { value: 1.5, low: null, high: null },
    },
  ],
  texts: [
    {
      text: "notes.txt",
      tokens: 12_345,
      dense: 20,
      pruned: 25,
      ratio: { value: 1.25, low: 1.2, high: 1.3 },
    },
    { text: "other.txt", tokens: 10, dense: 3, pruned: 4, ratio: null },
  ],
};

/** What the search of `tinyRun` found out: losses in nats per token, by passage. */
export const HISTORY: History = {
  rankings: [],
  refits: [],
  swaps: [],
  steps: [
    searchStep(0, "blocks", ["1.mlp", GONE], [["0.attention", 0], ["0.mlp", 2], ["1.mlp", 4]]),
    searchStep(1, "channels", ["2.mlp channels→48", NARROWED], [
      ["0.mlp channels→48", 1],
      ["2.mlp channels→48", 2],
    ]),
    searchStep(2, "kvGroups", ["0.attention kvGroups→1", HEADLESS], [
      ["0.attention kvGroups→1", 2],
    ]),
  ],
  evidence: [
    score(0, "base", [0, 1, 2, 3], [3, 3, 3, 3]),
    score(0, "0.mlp", [0, 1], [3.5, 4.5]),
    score(0, "1.mlp", [0, 1], [3.01, 3.03]),
    score(0, "1.mlp", [2, 3], [3.02, 3.02]),
    { type: "perturbations", step: 1, values: [0.1, 0.2], cost: { blockTokens: 1, seconds: 1 } },
    score(1, "base", [0, 1], [2, 4]),
    score(1, "0.mlp channels→48", [1], [4.25]),
    score(1, "2.mlp channels→48", [0, 1], [1.98, 4.0]),
    score(2, "0.attention kvGroups→1", [0, 1], [2.08, 4.06]),
  ],
  measures: [0, 1, 2, 3].map((steps) => ({
    type: "measure",
    steps,
    on: "held_out",
    nll: [3.7, 3.8],
    cost: { blockTokens: 500, seconds: 2.5 },
  })),
};

function step(
  stage: string,
  change: Change,
  [ratio, parameters, perplexity, heldOut]: readonly [number, number, number, number],
): RunRecord["frontier"][number] {
  return { stage, changes: [change], ratio, parameters, perplexity, heldOut };
}

function searchStep(
  step: number,
  stage: string,
  [key, change]: readonly [CandidateKey, Change],
  candidates: readonly (readonly [CandidateKey, number])[],
): History["steps"][number] {
  return {
    type: "step",
    step,
    stage,
    taken: { key, changes: [change] },
    ppl: 21,
    ratio: 12,
    candidates: candidates.map(([key, sequences]) => ({ key, ppl: 21, sequences })),
    blockTokens: { spent: 1000 + 500 * step / 3, full: 4000 + 2000 * step / 3 },
    seconds: 10 * (step + 1),
  };
}

function score(
  step: number,
  of: "base" | CandidateKey,
  sequences: readonly number[],
  nll: readonly number[],
): History["evidence"][number] {
  return { type: "score", step, of, sequences, nll, cost: { blockTokens: 10, seconds: 1 } };
}

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
