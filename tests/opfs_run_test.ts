import { openBackend } from "@lopper/backends";
import { OpfsRun } from "@lopper/browser";
import { MemoryDirectory } from "@lopper/browser/testing";
import { ResumeError, RunFolderError } from "@lopper/core";
import { FileFolder } from "@lopper/files";
import { listOf, parseSamples } from "@lopper/importance";
import { openModel } from "@lopper/models";
import {
  cutTexts,
  MemoryStore,
  prune,
  type RunEvent,
  runFlags,
  type RunRecord,
  type RunStore,
} from "@lopper/run";
import { openTokenizer } from "@lopper/tokenizers";
import assert from "node:assert/strict";
import { join } from "node:path";
import { inTemporaryFolder } from "./support/cli.ts";
import { writeTinyRun } from "./support/tiny_run.ts";

/** What a run tells when it has found out something. */
function isFinding(event: RunEvent): boolean {
  return event.type === "refit" || event.type === "search" && event.event.type !== "progress";
}

/** Prunes a tiny model: a part of the run into a store, which is cut off after some findings. */
async function inRun(
  body: (part: (store: RunStore, findings?: number) => Promise<RunRecord | null>) => Promise<void>,
) {
  await inTemporaryFolder(async (folder) => {
    await writeTinyRun(folder);
    const samples = async (name: string) =>
      listOf(parseSamples(await Deno.readTextFile(join(folder, name)), name));
    using model = await openModel(new FileFolder(join(folder, "model")));
    using tokenizer = await openTokenizer(model.folder);
    await using backend = (await openBackend("cpu", { threads: 1 })).backend;
    const asked = { ratio: 20, samples: 4, seqLen: 16 };
    const flags = runFlags(model.architecture, asked);
    const block = { name: "text", sources: [{ samples: await samples("text.jsonl"), weight: 1 }] };
    const heldOut = { name: "held out", samples: await samples("held_out.jsonl") };
    const sources = { block, width: null, heldOut };
    const texts = await cutTexts(sources, flags, model.architecture, tokenizer);
    await body(async (store, findings = Infinity) => {
      const tools = { backend, tokenizer, store, memory: () => 2e9 };
      const told = prune(model, texts, { flags }, tools);
      for (let n = 0; n < findings;) {
        const next = await told.next();
        if (next.done) return next.value.record;
        if (isFinding(next.value)) n += 1;
      }
      await told.return(null as never);
      return null;
    });
  });
}

/** What a record says that depends neither on the clock nor on what was done twice. */
function lasting(record: RunRecord) {
  const { wallSeconds: _, journal: __, blockTokens: ___, ...rest } = record;
  return rest;
}

const text = async (file: File | undefined) => await file!.text();

Deno.test("a run in the browser's storage has the result that it has in memory, wherever it is cut off", () =>
  inRun(async (part) => {
    const memory = new MemoryStore();
    const expected = lasting((await part(memory))!);
    const weights = await memory.result.readBytes("model.safetensors", 1e9);
    for (const cuts of [[], [2, 3], [6, 8, 14]]) {
      const directory = new MemoryDirectory();
      for (const findings of cuts) {
        using store = await OpfsRun.open("run", directory);
        assert.equal(await part(store, findings), null);
        assert.equal(await store.record(), null);
      }
      using store = await OpfsRun.open("run", directory);
      assert.equal(store.journalChecksum !== null, cuts.length > 0);
      const record = await part(store);
      assert.deepEqual(lasting(record!), expected, `cut off after ${cuts}`);
      using again = await OpfsRun.open("run", directory);
      assert.deepEqual(lasting((await again.record())!), expected);
      const files = await again.resultFiles();
      assert.deepEqual(
        new Uint8Array(await files.get("model.safetensors")!.arrayBuffer()),
        weights,
      );
      assert.ok(![...files.keys()].some((name) => name.includes("partial")));
    }
  }));

Deno.test("a run in the browser's storage goes on behind its last whole line, and refuses changed ones", () =>
  inRun(async (part) => {
    const directory = new MemoryDirectory();
    const write = async (name: string, content: string) => {
      const file = await directory.getFileHandle(name, { create: true });
      const access = await file.createSyncAccessHandle();
      access.truncate(0);
      access.write(new TextEncoder().encode(content), { at: 0 });
      access.close();
    };
    const journal = async () =>
      await text(await (await directory.getFileHandle("journal.jsonl")).getFile());
    {
      using store = await OpfsRun.open("run", directory);
      await part(store, 9);
    }
    const whole = await journal();
    assert.ok(whole.split("\n").length > 3);
    await write("journal.jsonl", whole + '{"type":"step","st');
    {
      using store = await OpfsRun.open("run", directory);
      await part(store, 12);
      assert.ok((await journal()).startsWith(whole));
      using again = await OpfsRun.open("run", directory);
      assert.equal(again.journalChecksum, store.journalChecksum);
    }
    await write("journal.jsonl", whole.replace(/"seconds":\d/, '"seconds":7'));
    await assert.rejects(OpfsRun.open("run", directory), ResumeError);
    await write("journal.jsonl", whole);
    using store = await OpfsRun.open("run", directory);
    assert.ok(await part(store));
    const result = await directory.getDirectoryHandle("result");
    const record = await text(await (await result.getFileHandle("run.json")).getFile());
    const sink = await (await result.getFileHandle("run.json")).createSyncAccessHandle();
    sink.write(new TextEncoder().encode(record.replace('"ratio":', '"Ratio":')), { at: 0 });
    sink.close();
    await assert.rejects(store.record(), RunFolderError);
  }));
