/**
 * One variant of the forward benchmark, in a process of its own: runs the embedded model from token ids to the NLL of every
 * token and prints one JSON object.
 *
 * Usage: deno run -A benchmarks/forward.ts BACKEND THREADS LENGTH
 */
import { type BackendName, openBackend } from "@lopper/backends";
import { DEMO_MODEL } from "@lopper/demo-model";
import { nextTokens } from "@lopper/importance";
import { openModel } from "@lopper/model-io";
import { FileFolder } from "@lopper/model-io/files";
import { Decoder, forwardFrom, LaidOutWeights, sourceOrder } from "@lopper/runtime";
import { fileURLToPath } from "node:url";

const TOKENS = 4096;
const REPEATS = 3;

const [name, threads, length] = [Deno.args[0], Number(Deno.args[1]), Number(Deno.args[2])];
const model = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
const { backend } = await openBackend(name as BackendName, { threads });
const decoder = new Decoder(backend, await LaidOutWeights.load(model, sourceOrder(model.spec)));
const sequences = Array.from(
  { length: TOKENS / length },
  (_, s) => Array.from({ length }, (_, i) => (s * 7919 + i * 104729) % model.spec.vocabSize),
);
const labels = nextTokens(sequences);

async function pass(): Promise<number> {
  const stream = await forwardFrom(
    decoder,
    decoder.spec.layers,
    0,
    await decoder.embed(sequences),
  );
  return (await decoder.nll(stream, labels)).reduce((sum, nll) => sum + nll, 0) / TOKENS;
}

const nll = await pass();
const before = decoder.blockTokens;
const started = performance.now();
for (let i = 0; i < REPEATS; i++) await pass();
const seconds = (performance.now() - started) / 1000;
console.log(JSON.stringify({
  tokensPerSecond: REPEATS * TOKENS / seconds,
  blockTokens: (decoder.blockTokens - before) / REPEATS,
  nll,
  residentBytes: Deno.memoryUsage().rss,
  engine: backend.description.engine,
}));
Deno.exit(0);
