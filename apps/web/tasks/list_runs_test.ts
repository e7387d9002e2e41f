import { MemoryDirectory } from "@lopper/browser/testing";
import assert from "node:assert/strict";
import type { About } from "./about.ts";
import { remove, runs } from "./list_runs.ts";
import { runsFolder } from "./places.ts";
import { keepRun, StoredRun } from "./runs.ts";

const about = (title: string, begun: string): About => ({
  ...{ kind: "lopper-web-run", title, isEmbedded: false, text: "notes.txt", begun },
  asked: { ratio: 20, preset: "lopper" },
});

/** A browser whose storage is in memory, and where tabs work on some runs. */
async function inBrowser(taken: readonly string[], body: () => Promise<void>) {
  const storage = { getDirectory: () => Promise.resolve(root) };
  const held = taken.map((id) => ({ name: `lopper-run-${id}` }));
  const locks = { query: () => Promise.resolve({ held }) };
  const root = new MemoryDirectory();
  const before = { storage: navigator.storage, locks: navigator.locks };
  const give = (values: object) => {
    for (const [name, value] of Object.entries(values)) {
      Object.defineProperty(navigator, name, { value, configurable: true });
    }
  };
  give({ storage, locks });
  try {
    await body();
  } finally {
    give(before);
  }
}

async function keep(id: string, begun: string) {
  const files = new Map([["onnx/model.onnx", new Blob(["graph"])], [
    "config.json",
    new Blob(["{}"]),
  ]]);
  const text = new File(["a text"], "notes.txt");
  const told: (readonly [number, number])[] = [];
  const run = { about: about(`model ${id}`, begun), files, text };
  await keepRun(id, run, (done, total) => told.push([done, total]));
  assert.deepEqual(told, [[5, 13], [7, 13], [13, 13]]);
}

Deno.test("runs: what was kept of a model is there again, with the text to judge by", () =>
  inBrowser([], async () => {
    await keep("a", "2026-11-30T16:00:00.000Z");
    const run = await StoredRun.open("a");
    const model = await run.model();
    assert.deepEqual(await model.list(), ["config.json", "onnx"]);
    const graph = await model.folder("onnx").readBytes("model.onnx", 10);
    assert.equal(new TextDecoder().decode(graph), "graph");
    assert.equal(await (await run.text())!.text(), "a text");
  }));

Deno.test("runs: they are listed, the newest first, with their room; a deleted one is gone", () =>
  inBrowser(["b"], async () => {
    await keep("a", "2026-11-30T16:00:00.000Z");
    await keep("b", "2026-11-30T17:00:00.000Z");
    const listed = await runs();
    assert.deepEqual(
      listed.map(({ id, title, target, state }) => ({ id, title, target, state })),
      [
        { id: "b", title: "model b", target: 20, state: { kind: "busy" } },
        { id: "a", title: "model a", target: 20, state: { kind: "unfinished", ratio: 0 } },
      ],
    );
    assert.ok(listed.every(({ bytes }) => bytes > 13 && bytes < 1000));
    await remove("a");
    assert.deepEqual((await runs()).map(({ id }) => id), ["b"]);
  }));

Deno.test("runs: what a closed tab left half copied goes, and what is being copied stays", () =>
  inBrowser(["copying"], async () => {
    const folder = await runsFolder();
    await folder.getDirectoryHandle("left", { create: true });
    await folder.getDirectoryHandle("copying", { create: true });
    assert.deepEqual(await runs(), []);
    const names: string[] = [];
    for await (const name of folder.keys()) names.push(name);
    assert.deepEqual(names, ["copying"]);
  }));

Deno.test("runs: one whose settings were changed says so", () =>
  inBrowser([], async () => {
    await keep("a", "2026-11-30T16:00:00.000Z");
    const folder = (await StoredRun.open("a")).folder as MemoryDirectory;
    const file = await folder.getFileHandle("settings.json", { create: true });
    const access = await file.createSyncAccessHandle();
    access.write(new TextEncoder().encode("{}"), { at: 0 });
    access.close();
    const [{ state }] = await runs();
    assert.match(state.kind === "damaged" ? state.problem : state.kind, /^This run cannot go on: /);
  }));
