/**
 * Opens the vocabulary of a GGUF file with llama.cpp and prints the tokens of texts, special tokens
 * in them recognised, none added around them.
 *
 * Usage: node tokenize_with_llama_cpp.mjs FILE < {"texts": [...]}
 */
import { createRequire } from "node:module";
import { existsSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { texts } = JSON.parse(readFileSync(0, "utf8"));
const from = createRequire(`${process.env.NODE_LLAMA_CPP}/package.json`);
// Only `import` finds the package's entry, and only from its own place.
const [place] = from.resolve.paths("node-llama-cpp").map((path) => `${path}/node-llama-cpp`)
  .filter((path) => existsSync(path));
const { exports } = JSON.parse(readFileSync(`${place}/package.json`, "utf8"));
const { getLlama } = await import(pathToFileURL(`${place}/${exports["."].import}`).href);

const llama = await getLlama({
  ...{ gpu: false, build: "never", logLevel: "error", progressLogs: false },
});
const model = await llama.loadModel({ modelPath: process.argv[2], gpuLayers: 0, vocabOnly: true });
const tokens = texts.map((text) => [...model.tokenize(text, true)]);
process.stdout.write(JSON.stringify({ tokens }));
await model.dispose();
await llama.dispose();
