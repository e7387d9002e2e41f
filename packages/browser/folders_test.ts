import { CheckpointFormatError } from "@lopper/core";
import type { ModelFolder } from "@lopper/formats";
import assert from "node:assert/strict";
import { BlobFolder } from "./blob_folder.ts";
import { HandleFolder } from "./handle_folder.ts";
import { folderIn } from "./handles.ts";
import { hasRoom } from "./has_room.ts";
import { OpfsSink } from "./opfs_sink.ts";
import { MEMORY_QUOTA, MemoryDirectory } from "./testing/mod.ts";

const FILES = { "config.json": "{}", "onnx/model.onnx": "graph", "weights": "0123456789" };

const FOLDERS: Readonly<Record<string, () => Promise<ModelFolder>>> = {
  BlobFolder: () =>
    Promise.resolve(
      new BlobFolder(
        "chosen",
        new Map(Object.entries(FILES).map(([path, text]) => [path, new Blob([text])])),
      ),
    ),
  HandleFolder: async () => {
    const root = new MemoryDirectory();
    for (const [path, text] of Object.entries(FILES)) {
      const names = path.split("/");
      const sink = await OpfsSink.open(await folderIn(root, names.slice(0, -1)), names.at(-1)!);
      await sink.write(new TextEncoder().encode(text));
      await sink.commit();
    }
    return new HandleFolder("chosen", root);
  },
};

for (const [name, open] of Object.entries(FOLDERS)) {
  Deno.test(`${name}: its files are listed, found and read, and those of folders in it`, async () => {
    const folder = await open();
    assert.deepEqual(await folder.list(), ["config.json", "onnx", "weights"]);
    assert.equal(await folder.has("weights"), true);
    assert.equal(await folder.has("onnx"), false);
    assert.equal(await folder.has("nothing"), false);
    const source = await folder.open("weights");
    assert.equal(source.size, 10);
    assert.equal(new TextDecoder().decode(await source.read(3, 4)), "3456");
    source.close();
    const inner = folder.folder("onnx");
    assert.deepEqual(await inner.list(), ["model.onnx"]);
    assert.equal(new TextDecoder().decode(await inner.readBytes("model.onnx", 5)), "graph");
    assert.deepEqual(await folder.folder("nothing").list(), []);
    assert.equal(await folder.folder("nothing").has("file"), false);
  });

  Deno.test(`${name}: what is not there, too large or elsewhere is refused by name`, async () => {
    const folder = await open();
    const refused = (work: Promise<unknown>, message: RegExp) =>
      assert.rejects(
        work,
        (error) => error instanceof CheckpointFormatError && message.test(error.message),
      );
    await refused(folder.open("nothing"), /chosen: there is no file nothing/);
    await refused(folder.open("onnx"), /there is no file onnx/);
    await refused(folder.open("../secret"), /plain name/);
    await refused(folder.readBytes("weights", 9), /chosen\/weights: it has 10 bytes/);
    const source = await folder.open("weights");
    await refused(source.read(8, 3), /3 bytes are needed/);
  });
}

Deno.test("BlobFolder: each file that is opened is heard of, by its path", async () => {
  const opened: string[] = [];
  const files = new Map(Object.entries(FILES).map(([path, text]) => [path, new Blob([text])]));
  const folder = new BlobFolder("chosen", files, (path) => opened.push(path));
  await folder.readBytes("config.json", 10);
  await folder.folder("onnx").open("model.onnx");
  await assert.rejects(folder.open("nothing"));
  assert.deepEqual(opened, ["config.json", "onnx/model.onnx"]);
});

Deno.test("OpfsSink: a file has its name when it is whole, and what was there goes", async () => {
  const root = new MemoryDirectory();
  const write = async (text: string, end: "commit" | "abort") => {
    const sink = await OpfsSink.open(root, "file");
    await sink.write(new TextEncoder().encode(text));
    const names: string[] = [];
    for await (const name of root.keys()) names.push(name);
    await sink[end]();
    return names;
  };
  const read = async () => await (await (await root.getFileHandle("file")).getFile()).text();
  assert.deepEqual(await write("first", "commit"), ["file.lopper-partial"]);
  assert.equal(await read(), "first");
  await write("second", "abort");
  assert.equal(await read(), "first");
  await write("third", "commit");
  assert.equal(await read(), "third");
  assert.deepEqual(await new HandleFolder("root", root).list(), ["file"]);
});

Deno.test("hasRoom: whether so much may be written is asked, and nothing of that stays", async () => {
  const root = new MemoryDirectory();
  assert.equal(await hasRoom(root, MEMORY_QUOTA), true);
  assert.equal(await hasRoom(root, MEMORY_QUOTA + 1), false);
  assert.deepEqual(await new HandleFolder("root", root).list(), []);
});
