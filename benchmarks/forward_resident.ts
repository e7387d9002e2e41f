/**
 * The forward benchmark with resident weights (`ResidentDecoder`), for backends with a device of
 * their own: the same tokens, losses and output as forward.ts, which feeds the weights of every
 * block.
 *
 * Usage: deno run -A benchmarks/forward_resident.ts MODEL BACKEND IDS.json REPEATS
 */
import { denseShape } from "@lopper/core";
import { type BackendName, openBackend } from "@lopper/backends";
import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import { LaidOutWeights, ResidentDecoder } from "@lopper/runtime";
import { printThroughput } from "./measure.ts";

const [path, name, ids, repeats] = Deno.args;
const sequences: number[][] = JSON.parse(await Deno.readTextFile(ids));
const length = sequences[0].length;

const model = await openModel(new FileFolder(path));
const { backend } = await openBackend(name as BackendName, {});
const weights = await LaidOutWeights.load(model);
const decoder = new ResidentDecoder(backend, weights);

async function pass(): Promise<number> {
  const nll = await decoder.nll(denseShape(decoder.blocks), sequences);
  // The last position of a sequence predicts nothing.
  const counted = nll.filter((_, i) => (i + 1) % length !== 0);
  return counted.reduce((sum, value) => sum + value, 0) / counted.length;
}

const { engine, name: on } = backend.description;
const text = { pass, tokens: sequences.length * length };
await printThroughput(decoder, text, Number(repeats), `${engine}, ${on}, resident weights`);
Deno.exit(0);
