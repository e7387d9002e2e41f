import { openBackend } from "@lopper/backends";
import { FileFolder } from "@lopper/files";
import { listOf } from "@lopper/importance";
import { openModel } from "@lopper/models";
import { cutTexts, MemoryStore, prune, runFlags } from "@lopper/run";
import { openTokenizer } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { join } from "node:path";
import { inTemporaryFolder } from "./support/cli.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test("library: README and the page about it have the example that is run", async () => {
  const example = await Deno.readTextFile(new URL("docs/library_example.ts", ROOT));
  for (const name of ["README.md", "docs/library.md"]) {
    const page = await Deno.readTextFile(new URL(name, ROOT));
    const code = /^```ts\n([\s\S]*?)^```$/m.exec(page)?.[1];
    assert.equal(code, example, name);
  }
});

Deno.test({
  name: "library: the example prunes the embedded model in memory",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const printed: unknown[][] = [];
    const { log } = console;
    console.log = (...values: unknown[]) => void printed.push(values);
    try {
      await import("../docs/library_example.ts");
    } finally {
      console.log = log;
    }
    const [perplexity, bytes] = printed.pop() as [{ dense: number; pruned: number }, number];
    assert.ok(printed.length > 0, "steps are told");
    for (const [taken] of printed) assert.match(String(taken), /^\d+\.(attention|mlp)/);
    assert.ok(perplexity.dense > 1 && perplexity.pruned > 1);
    assert.ok(bytes > 0 && bytes <= 0.98 * 11_019_648, String(bytes));
  },
});

/** What `writeTinyRun` wrote, opened for a program. */
async function openTinyRun(args: readonly string[]) {
  const [path, , text, , heldOutText] = args;
  const model = await openModel(new FileFolder(path));
  const samplesOf = async (file: string) =>
    listOf(
      (await Deno.readTextFile(file)).trim().split("\n").map((line) => JSON.parse(line).text),
    );
  const flags = runFlags(model.architecture, {
    ratio: 10,
    samples: 4,
    seqLen: 16,
    heldOut: heldOutText,
  });
  const tokenizer = await openTokenizer(model.folder);
  const texts = await cutTexts(
    {
      block: { name: "text", sources: [{ samples: await samplesOf(text), weight: 1 }] },
      width: null,
      heldOut: { name: "held-out text", samples: await samplesOf(heldOutText) },
    },
    flags,
    model.architecture,
    tokenizer,
  );
  const { backend } = await openBackend("cpu", { threads: 1 });
  const store = new MemoryStore();
  const tools = { backend, tokenizer, store, memory: () => 2e9 };
  return {
    ...{ model, texts, flags, store, tools },
    [Symbol.asyncDispose]: async () => {
      tokenizer[Symbol.dispose]();
      await backend[Symbol.asyncDispose]();
      model[Symbol.dispose]();
    },
  };
}

Deno.test({
  name: "library: a program and the command line write the same files",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await inTemporaryFolder(async (folder) => {
      const args = await writeTinyRun(folder);
      const out = join(folder, "out");
      await pruneHere([...args, "--ratio", "10", "--out", out]);
      await using run = await openTinyRun(args);
      const { model, texts, flags, store, tools } = run;
      assert.equal(store.record, null);
      const events = await Array.fromAsync(prune(model, texts, { flags }, tools));
      assert.equal(events[0].type, "begin");
      const files = store.record!.files!;
      assert.ok(
        ["model.safetensors", "lopper_plan.json", "README.md"].every((f) => files.includes(f)),
      );
      for (const file of files) {
        // Its command says what the program was not told: where the files lie.
        if (file === "README.md") continue;
        const written = await Deno.readFile(join(out, file));
        assert.deepEqual(await store.result.readBytes(file, 1e9), written, file);
      }
      const record = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
      const { wallSeconds, journal, checksum, flags: asked, ...facts } = record;
      assert.ok(wallSeconds && journal && checksum && asked);
      const own = JSON.parse(JSON.stringify(store.record));
      for (const [name, value] of Object.entries(facts)) assert.deepEqual(own[name], value, name);
    });
  },
});

Deno.test({
  name: "library: a run ends when its signal says so, or its loop is left, and has no result then",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await inTemporaryFolder(async (folder) => {
      await using run = await openTinyRun(await writeTinyRun(folder));
      const { model, texts, flags, tools } = run;
      const begun = (signal?: AbortSignal) => {
        const store = new MemoryStore();
        return { store, events: prune(model, texts, { flags }, { ...tools, store, signal }) };
      };
      const controller = new AbortController();
      const reason = new Error("enough");
      const aborted = begun(controller.signal);
      await assert.rejects(async () => {
        for await (const { type } of aborted.events) {
          if (type === "search") controller.abort(reason);
        }
      }, reason);
      const left = begun();
      for await (const { type } of left.events) if (type === "search") break;
      for (const { store } of [aborted, left]) {
        assert.equal(store.record, null);
        assert.deepEqual(await store.result.list(), []);
        const { steps, evidence } = store.history;
        assert.ok(steps.length + evidence.length < 20, "the search went no further");
      }
    });
  },
});
