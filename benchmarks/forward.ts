/**
 * One variant of the forward benchmark, in a process of its own: runs a model from token ids to the
 * NLL of every token and prints one JSON object.
 *
 * Usage: deno run -A benchmarks/forward.ts MODEL BACKEND THREADS IDS.json REPEATS IDS.json is a
 * list of equally long lists of token ids.
 */
import { type BackendName, openBackend } from "@lopper/backends";
import { denseShape } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { DEFAULT_BATCH_TOKENS, nextTokens } from "@lopper/importance";
import { openModel } from "@lopper/models";
import { Decoder, forwardFrom, LaidOutWeights } from "@lopper/runtime";
import { printThroughput } from "./measure.ts";

const [path, name, threads, ids, repeats] = Deno.args;
const sequences: number[][] = JSON.parse(await Deno.readTextFile(ids));
const length = sequences[0].length;

const model = await openModel(new FileFolder(path));
const { backend } = await openBackend(name as BackendName, { threads: Number(threads) });
const decoder = new Decoder(backend, await LaidOutWeights.load(model));
const perBatch = Math.max(1, Math.floor(DEFAULT_BATCH_TOKENS / length));

async function pass(): Promise<number> {
  let sum = 0;
  for (let s = 0; s < sequences.length; s += perBatch) {
    const batch = sequences.slice(s, s + perBatch);
    const input = await decoder.embed(batch);
    const hidden = await forwardFrom(decoder, denseShape(decoder.blocks), 0, input);
    const nll = await decoder.nll(hidden, nextTokens(batch));
    // The last position of a sequence predicts nothing.
    nll.forEach((value, i) => sum += (i + 1) % length === 0 ? 0 : value);
  }
  return sum / (sequences.length * (length - 1));
}

const text = { pass, tokens: sequences.length * length };
await printThroughput(decoder, text, Number(repeats), backend.description.engine);
Deno.exit(0);
