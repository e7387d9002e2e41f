import {
  CALIBRATION_TEXT,
  cutTexts,
  DEMO_MODEL,
  FileFolder,
  listOf,
  MemoryStore,
  openBackend,
  openModel,
  openTokenizer,
  prune,
  runFlags,
} from "lopper";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const lines = (await readFile(CALIBRATION_TEXT, "utf-8")).trim().split("\n");
const books: string[] = lines.map((line) => JSON.parse(line).text);
const calibration = { name: "books", sources: [{ samples: listOf(books.slice(5)), weight: 1 }] };
const heldOut = { name: "other books", samples: listOf(books.slice(0, 5)) };

using model = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
using tokenizer = await openTokenizer(model.folder);
const asked = { ratio: 2, samples: 2, widthSamples: 2, seqLen: 64 };
const flags = runFlags(model.architecture, { preset: "multipruner", ...asked });
const sources = { block: calibration, width: null, heldOut };
const texts = await cutTexts(sources, flags, model.architecture, tokenizer);

await using backend = (await openBackend("cpu", {})).backend;
const store = new MemoryStore();
const tools = { backend, tokenizer, store, memory: () => 2e9 };
for await (const event of prune(model, texts, { flags }, tools)) {
  if (event.type === "search" && event.event.type === "step") {
    console.log(event.event.step.taken.key);
  }
}
using pruned = await openModel(store.result);
console.log(store.record!.perplexity.heldOut, pruned.weightBytes);
