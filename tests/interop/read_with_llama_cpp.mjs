/**
 * Opens a GGUF file with llama.cpp and prints what it computes, as one JSON object.
 *
 * Usage: node read_with_llama_cpp.mjs FILE < {"texts": [...], "ids": [...], "positions": n, "new_tokens": n}
 *
 * `distributions` has, for each of the last `positions` places of `ids`, the probabilities of the next token by its id, in
 * base64 of little-endian float32; `greedy` what comes behind `ids` when the likeliest token is taken each time.
 */
import { createRequire } from "node:module";
import { existsSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const request = JSON.parse(readFileSync(0, "utf8"));
const folder = process.env.NODE_LLAMA_CPP;
const from = folder ? createRequire(`${folder}/package.json`) : createRequire(import.meta.url);
// Only `import` finds the package's entry, and only from its own place.
const [place] = from.resolve.paths("node-llama-cpp").map((path) => `${path}/node-llama-cpp`)
  .filter((path) => existsSync(path));
const { version, exports } = JSON.parse(readFileSync(`${place}/package.json`, "utf8"));
const { getLlama } = await import(pathToFileURL(`${place}/${exports["."].import}`).href);

const llama = await getLlama({
  gpu: false,
  build: "never",
  logLevel: "error",
  progressLogs: false,
});
const model = await llama.loadModel({ modelPath: process.argv[2], gpuLayers: 0, useMmap: true });
const context = await model.createContext({
  contextSize: 256,
  batchSize: 256,
  threads: 1,
  flashAttention: false,
  // F16 unless said, which hides what a file is worth
  experimentalKvCacheKeyType: "F32",
  experimentalKvCacheValueType: "F32",
});
const sequence = context.getSequence();

const { ids } = request;
const first = ids.length - request.positions;
const evaluated = await sequence.controlledEvaluate(
  ids.map((id, i) => i < first ? id : [id, { generateNext: { probabilities: true } }]),
);
const distributions = evaluated.slice(first).map(({ next }) => {
  const values = new Float32Array(next.probabilities.size);
  for (const [id, probability] of next.probabilities) values[id] = probability;
  return Buffer.from(values.buffer).toString("base64");
});

const likeliest = (probabilities) => {
  let best = null;
  for (const [id, p] of probabilities) {
    if (best === null || p > best[1] || (p === best[1] && id < best[0])) best = [id, p];
  }
  return best[0];
};
const greedy = [];
let last = likeliest(evaluated.at(-1).next.probabilities);
while (greedy.length < request.new_tokens) {
  greedy.push(last);
  const [step] = await sequence.controlledEvaluate([
    [last, { generateNext: { probabilities: true } }],
  ]);
  last = likeliest(step.next.probabilities);
}

const { general, ...rest } = model.fileInfo.metadata;
process.stdout.write(JSON.stringify({
  version,
  architecture: general.architecture,
  layers: rest[general.architecture].block_count,
  tensors: model.fileInfo.tensorCount,
  totalLayers: model.fileInsights.totalLayers,
  modelBytes: model.size,
  vocabulary: evaluated.at(-1).next.probabilities.size,
  tokens: request.texts.map((text) => [...model.tokenize(text, true)]),
  distributions,
  greedy,
}));
await model.dispose();
await llama.dispose();
