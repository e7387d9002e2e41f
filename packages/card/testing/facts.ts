import type { CardFacts, CardScores } from "../facts.ts";

const layer = (kvHeads: number, intermediateSize: number) => ({
  attention: { queryHeads: 3 * kvHeads, kvHeads },
  mlp: { intermediateSize },
});

/** What a card of a small run says. */
export const FACTS: CardFacts = {
  source: {
    title: "SmolLM2-135M",
    id: "HuggingFaceTB/SmolLM2-135M",
    revision: "93efa2f097d58c2a74874c7e644dbc9b0cee75a2",
    metadata: {
      license: ["apache-2.0"],
      language: ["en"],
      datasets: ["HuggingFaceTB/smollm-corpus"],
      base_model: [],
      tags: ["text"],
    },
    terms: ["LICENSE"],
  },
  ratio: 20.04,
  sizes: {
    parameters: { dense: 134_515_008, pruned: 107_800_000 },
    bytes: { dense: 269_030_016, pruned: 215_600_000 },
  },
  layers: {
    dense: [layer(3, 1536), layer(3, 1536), layer(3, 1536)],
    pruned: [
      { ...layer(3, 1536), mlp: null },
      { ...layer(1, 1535), attention: null },
      layer(2, 768),
    ],
  },
  texts: {
    calibration: {
      name: "alpaca.jsonl",
      samples: 128,
      tokens: 2048,
      seed: 42,
      perplexity: { dense: 9.5, pruned: 11.25 },
    },
    heldOut: {
      name: "wiki.txt",
      tokens: 2048,
      perplexity: { dense: 19.47, pruned: 39.59 },
      texts: [],
    },
  },
  method: {
    version: "0.3.0",
    steps: 61,
    criterion: "the perplexity",
    uniform: false,
    refitted: { kept: 20, tried: 24 },
    dequantised: null,
    milliseconds: null,
  },
  readers: { family: "llama", customCode: true, images: false, gguf: true, deci: true },
  digests: { "the dense model": `sha256:${"a".repeat(64)}` },
  commands: [["/home/somebody/models/SmolLM2-135M", "--ratio", "20", "--out", "again"]],
  scores: null,
};

/** What somebody measured of it. */
export const SCORES: CardScores = {
  tasks: [
    {
      task: "piqa",
      metric: "acc_norm",
      questions: 1838,
      available: 1838,
      dense: 0.684,
      pruned: 0.6012,
      difference: { value: -0.0828, low: -0.11, high: -0.055 },
    },
    {
      task: "winogrande",
      metric: "acc",
      questions: 100,
      available: 1267,
      dense: 0.53,
      pruned: 0.51,
      difference: { value: -0.02, low: null, high: null },
    },
  ],
  texts: [
    {
      text: "wikitext2",
      tokens: 327_680,
      dense: 19.47,
      pruned: 39.59,
      ratio: { value: 2.033, low: 2.01, high: 2.06 },
    },
    { text: "one.txt", tokens: 2048, dense: 10, pruned: 20, ratio: null },
  ],
};
