import { CheckpointFormatError } from "@lopper/core";
import assert from "node:assert/strict";
import { AppendFile, FileFolder, FileSink, FileSource, writeTextFileAtomically } from "./mod.ts";

const test = (name: string, body: (dir: string) => Promise<void>) =>
  Deno.test(name, async () => {
    const dir = await Deno.makeTempDir();
    try {
      await body(dir);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });

test("file source: reads any range, and refuses one beyond the file before allocating", async (dir) => {
  await Deno.writeFile(`${dir}/f`, Uint8Array.from({ length: 100 }, (_, i) => i));
  const source = await FileSource.open(`${dir}/f`);
  const [a, b] = await Promise.all([source.read(10, 3), source.read(97, 3)]);
  assert.deepEqual([...a, ...b], [10, 11, 12, 97, 98, 99]);
  for (const [offset, length] of [[98, 3], [-1, 2], [0, 2 ** 50], [0.5, 1]]) {
    await assert.rejects(source.read(offset, length), CheckpointFormatError);
  }
  await Deno.truncate(`${dir}/f`, 50);
  await assert.rejects(source.read(40, 20), /ended 10 bytes early/);
  source.close();
});

test("file sink: the name appears on commit, whole, and replaces what was there", async (dir) => {
  await Deno.writeTextFile(`${dir}/f`, "old");
  const sink = await FileSink.open(`${dir}/f`);
  await sink.write(new TextEncoder().encode("new "));
  assert.equal(await Deno.readTextFile(`${dir}/f`), "old");
  await sink.write(new TextEncoder().encode("text"));
  await sink.commit();
  assert.equal(await Deno.readTextFile(`${dir}/f`), "new text");
  await sink.abort();
  assert.equal(await Deno.readTextFile(`${dir}/f`), "new text");
});

test("file sink: abort leaves nothing", async (dir) => {
  const sink = await FileSink.open(`${dir}/f`);
  await sink.write(new Uint8Array(10));
  await sink.abort();
  assert.deepEqual([...Deno.readDirSync(dir)], []);
  await writeTextFileAtomically(`${dir}/g`, "text");
  assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["g"]);
});

test("append file: a torn last line is recognised, cut off, and written again", async (dir) => {
  const path = `${dir}/journal`;
  assert.deepEqual(await AppendFile.readLines(path), { lines: [], tornTail: false });
  const file = await AppendFile.open(path);
  await file.appendLine("one");
  await file.appendLine("zwei ü");
  await assert.rejects(file.appendLine("a\nb"), TypeError);
  file.close();
  await Deno.writeTextFile(path, '{"torn', { append: true });
  assert.deepEqual(await AppendFile.readLines(path), { lines: ["one", "zwei ü"], tornTail: true });
  await AppendFile.truncateTornTail(path);
  const again = await AppendFile.open(path);
  await again.appendLine("three");
  again.close();
  assert.equal(await Deno.readTextFile(path), "one\nzwei ü\nthree\n");
});

test("file folder: says what is missing, follows links inside, and cannot be left", async (dir) => {
  await Deno.writeTextFile(`${dir}/blob`, "content");
  await Deno.mkdir(`${dir}/model`);
  await Deno.symlink(`${dir}/blob`, `${dir}/model/config.json`);
  const folder = new FileFolder(`${dir}/model`);
  assert.equal(new TextDecoder().decode(await folder.readBytes("config.json", 100)), "content");
  await assert.rejects(folder.readBytes("config.json", 3), /has 7 bytes and at most 3/);
  await assert.rejects(folder.open("weights"), /there is no file weights in this folder/);
  await assert.rejects(folder.open("../blob"), /cannot leave/);
  await assert.rejects(folder.has("/etc/passwd"), /cannot leave/);
  assert.equal(await folder.has("weights"), false);
  await assert.rejects(new FileFolder(`${dir}/none`).open("x"), /there is no such folder/);
  await assert.rejects(new FileFolder(`${dir}/blob`).open("x"), /this is a file/);
});
