/**
 * The forward benchmark with resident weights (`ResidentDecoder`), for backends with a device of their own: the same
 * tokens, losses and output as forward.ts, which feeds the weights of every block.
 *
 * Usage: deno run -A benchmarks/forward_resident.ts MODEL BACKEND LENGTH TOKENS REPEATS
 */
import { type BackendName, openBackend } from "@lopper/backends";
import { openModel } from "@lopper/model-io";
import { FileFolder } from "@lopper/model-io/files";
import { LaidOutWeights, ResidentDecoder, sourceOrder } from "@lopper/runtime";

const [path, name] = Deno.args;
const [length, tokens, repeats] = Deno.args.slice(2).map(Number);

const model = await openModel(new FileFolder(path));
const { backend } = await openBackend(name as BackendName, {});
const weights = await LaidOutWeights.load(model, sourceOrder(model.spec));
const decoder = new ResidentDecoder(backend, weights);
const sequences = Array.from(
  { length: tokens / length },
  (_, s) => Array.from({ length }, (_, i) => (s * 7919 + i * 104729) % model.spec.vocabSize),
);

async function pass(): Promise<number> {
  const nll = await decoder.nll(decoder.spec.layers, sequences);
  // The last position of a sequence predicts nothing.
  const counted = nll.filter((_, i) => (i + 1) % length !== 0);
  return counted.reduce((sum, value) => sum + value, 0) / counted.length;
}

const nll = await pass();
const before = decoder.blockTokens;
const started = performance.now();
for (let i = 0; i < repeats; i++) await pass();
const seconds = (performance.now() - started) / 1000;
console.log(JSON.stringify({
  tokensPerSecond: repeats * tokens / seconds,
  blockTokens: (decoder.blockTokens - before) / repeats,
  nll,
  residentBytes: Deno.memoryUsage().rss,
  engine: `${backend.description.engine}, ${backend.description.name}, resident weights`,
}));
Deno.exit(0);
