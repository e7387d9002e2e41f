/**
 * Takes a mixture of experts through one step of a search within a budget of memory, and says how
 * much was taken: of a checkpoint that is far larger than the budget, as `make_sparse_mixture.ts`
 * writes one. The model is not hashed, which is all that a run reads of a file at its beginning.
 *
 * Usage: deno run -A benchmarks/bench_experts.ts MODEL [--memory BYTES] [--tokens N]
 */
import {
  CALIBRATION_TEXT,
  cutTexts,
  FileFolder,
  listOf,
  MemoryStore,
  openBackend,
  openModel,
  openTokenizer,
  prune,
  runFlags,
} from "lopper";
import { parseArgs } from "node:util";
import { peakResidentBytes } from "./measure.ts";

const NO_DIGEST = `sha256:${"0".repeat(64)}`;

const { values: options, positionals: [path, ...rest] } = parseArgs({
  args: Deno.args,
  options: {
    memory: { type: "string", default: "8e9" },
    tokens: { type: "string", default: "32" },
  },
  allowPositionals: true,
});
if (!path || rest.length > 0) {
  console.error("usage: bench_experts.ts MODEL [--memory BYTES] [--tokens N]");
  Deno.exit(2);
}
const began = performance.now();
const seconds = () => Number(((performance.now() - began) / 1000).toFixed(0));

const lines = (await Deno.readTextFile(CALIBRATION_TEXT)).trim().split("\n");
const passages: string[] = lines.slice(0, 40).map((line) => JSON.parse(line).text);
const sources = [{ samples: listOf(passages.slice(1)), weight: 1 }];
const heldOut = { name: "a passage", samples: listOf([passages[0].slice(0, 400)]) };

using model = await openModel(new FileFolder(path));
using tokenizer = await openTokenizer(model.folder);
const flags = runFlags(model.architecture, {
  ...{ preset: "experts", ratio: 5, samples: 1, widthSamples: 1, seqLen: Number(options.tokens) },
});
const texts = await cutTexts(
  { block: { name: "passages", sources }, width: null, heldOut },
  flags,
  model.architecture,
  tokenizer,
);
await using backend = (await openBackend("cpu", {})).backend;
const tools = {
  ...{ backend, tokenizer, store: new MemoryStore() },
  memory: () => Number(options.memory),
};
for await (const event of prune(model, texts, { flags, modelDigest: NO_DIGEST }, tools)) {
  if (event.type !== "search") continue;
  const { event: found } = event;
  if (found.type === "ranking") console.error(`${found.ranking.dimension} ranked, ${seconds()} s`);
  if (found.type !== "step") continue;
  console.log(JSON.stringify({
    taken: found.step.taken.key.split(", ")[0],
    ratio: Number(found.step.ratio.toFixed(2)),
    weightBytes: model.weightBytes,
    memory: Number(options.memory),
    peakResidentBytes: peakResidentBytes(),
    seconds: seconds(),
  }));
  break;
}
