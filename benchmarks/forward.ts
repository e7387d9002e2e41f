/**
 * One variant of the forward benchmark, in a process of its own: runs a model from token ids to the NLL of every token
 * and prints one JSON object.
 *
 * Usage: deno run -A benchmarks/forward.ts MODEL BACKEND THREADS LENGTH TOKENS REPEATS
 */
import { type BackendName, openBackend } from "@lopper/backends";
import { nextTokens } from "@lopper/importance";
import { openModel } from "@lopper/model-io";
import { FileFolder } from "@lopper/model-io/files";
import { Decoder, forwardFrom, LaidOutWeights, sourceOrder } from "@lopper/runtime";

const [path, name] = Deno.args;
const [threads, length, tokens, repeats] = Deno.args.slice(2).map(Number);
/** Tokens that run through a block together, as the search runs them. */
const BATCH_TOKENS = 2048;

const model = await openModel(new FileFolder(path));
const { backend } = await openBackend(name as BackendName, { threads });
const decoder = new Decoder(backend, await LaidOutWeights.load(model, sourceOrder(model.spec)));
const sequences = Array.from(
  { length: tokens / length },
  (_, s) => Array.from({ length }, (_, i) => (s * 7919 + i * 104729) % model.spec.vocabSize),
);
const perBatch = Math.max(1, BATCH_TOKENS / length);

async function pass(): Promise<number> {
  let sum = 0;
  for (let s = 0; s < sequences.length; s += perBatch) {
    const batch = sequences.slice(s, s + perBatch);
    const input = await decoder.embed(batch);
    const stream = await forwardFrom(decoder, decoder.spec.layers, 0, input);
    const nll = await decoder.nll(stream, nextTokens(batch));
    // The last position of a sequence predicts nothing.
    nll.forEach((value, i) => sum += (i + 1) % length === 0 ? 0 : value);
  }
  return sum / (sequences.length * (length - 1));
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
  engine: backend.description.engine,
}));
Deno.exit(0);
