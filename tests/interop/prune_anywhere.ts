/**
 * Prunes the embedded model into a folder, in whatever runs this: node_test.ts runs it in Deno and,
 * bundled, in Node.
 */
import { openBackend } from "@lopper/backends";
import { CALIBRATION_TEXT, DEMO_MODEL } from "@lopper/demo-model";
import { FileFolder, FileSink, FolderLock } from "@lopper/files";
import { listOf } from "@lopper/importance";
import { openModel } from "@lopper/models";
import { cutTexts, MemoryStore, prune, runFlags } from "@lopper/run";
import { openTokenizer } from "@lopper/tokenizers";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const [out] = process.argv.slice(2);

/** The run in memory, its result in files. */
class FolderStore extends MemoryStore {
  override sink(file: string) {
    return FileSink.open(join(out, file));
  }

  override reopen() {
    return openModel(new FileFolder(out));
  }
}

const lock = await FolderLock.take(out);
const lines = (await readFile(CALIBRATION_TEXT, "utf-8")).trim().split("\n");
const books: string[] = lines.map((line) => JSON.parse(line).text);
const calibration = { name: "books", sources: [{ samples: listOf(books.slice(5)), weight: 1 }] };
const heldOut = { name: "other books", samples: listOf(books.slice(0, 5)) };

const model = await openModel(new FileFolder(fileURLToPath(DEMO_MODEL)));
using tokenizer = await openTokenizer(model.folder);
const asked = { ratio: 10, samples: 4, widthSamples: 2, seqLen: 128 };
const flags = runFlags(model.architecture, { preset: "multipruner", ...asked });
const sources = { block: calibration, width: null, heldOut };
const texts = await cutTexts(sources, flags, model.architecture, tokenizer);
const { backend } = await openBackend("cpu", { threads: 1 });
const store = new FolderStore();
const tools = { backend, tokenizer, store, memory: () => 2e9 };
const run = prune(model, texts, { flags }, tools);
while (!(await run.next()).done);
await backend[Symbol.asyncDispose]();
await FileSink.open(join(out, "perplexity.json")).then(async (sink) => {
  await sink.write(new TextEncoder().encode(JSON.stringify(store.record!.perplexity)));
  await sink.commit();
});
await lock.release();
