import * as lopper from "lopper";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

using model = await lopper.openModel(new lopper.FileFolder(fileURLToPath(lopper.DEMO_MODEL)));
using tokenizer = await lopper.openTokenizer(model.folder);
const asked = { ratio: 2, samples: 2, widthSamples: 2, seqLen: 64 };
const flags = lopper.runFlags(model.architecture, { preset: "multipruner", ...asked });

const lines = (await readFile(lopper.CALIBRATION_TEXT, "utf-8")).trim().split("\n");
const books = lopper.listOf(lines.map((line): string => JSON.parse(line).text));
const novel = lopper.listOf([await readFile(lopper.HELD_OUT_TEXT, "utf-8")]);
const block = { name: "books", sources: [{ samples: books, weight: 1 }] };
const sources = { block, width: null, heldOut: { name: "Moby Dick", samples: novel } };
const texts = await lopper.cutTexts(sources, flags, model.architecture, tokenizer);

await using backend = (await lopper.openBackend("cpu", {})).backend;
const tools = { backend, tokenizer, store: new lopper.MemoryStore(), memory: () => 2e9 };
for await (const told of lopper.prune(model, texts, { flags }, tools)) {
  if (told.type === "search" && told.event.type === "step") console.log(told.event.step.taken.key);
}
using pruned = await lopper.openModel(tools.store.result);
console.log(tools.store.record!.perplexity.heldOut, pruned.weightBytes);
