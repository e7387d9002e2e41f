import { CheckpointFormatError } from "@lopper/core";
import { MemoryFolder } from "./listed_folder.ts";
import assert from "node:assert/strict";

const refuses = (promise: Promise<unknown>, message: RegExp) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof CheckpointFormatError, String(error));
    assert.match(error.message, message);
    return true;
  });

Deno.test("memory folder: lists, finds and opens what it was given", async () => {
  const folder = new MemoryFolder("m", { "a.txt": "grün", b: new Uint8Array([1, 2]) });
  assert.deepEqual(await folder.list(), ["a.txt", "b"]);
  assert.equal(await folder.has("b"), true);
  assert.equal(await folder.has("c"), false);
  assert.equal(await folder.has("constructor"), false);
  assert.equal(new TextDecoder().decode(await folder.readBytes("a.txt", 5)), "grün");
  const source = await folder.open("b");
  assert.equal(source.name, "m/b");
  assert.deepEqual(await source.read(1, 1), new Uint8Array([2]));
});

Deno.test("memory folder: missing, too large and foreign files are named", async () => {
  const folder = new MemoryFolder("m", { b: new Uint8Array(10) });
  await refuses(folder.open("c"), /^m: there is no file c in this folder$/);
  await refuses(folder.open("../b"), /^m: the file name "..\/b" cannot leave/);
  await refuses(folder.readBytes("b", 9), /^m\/b: it has 10 bytes and at most 9 are expected/);
});

Deno.test("memory folder: a file that is too large is closed without being read", async () => {
  let closed = 0, read = 0;
  const source = {
    name: "m/b",
    size: 10,
    read: () => Promise.resolve(new Uint8Array(++read)),
    close: () => void closed++,
  };
  const folder = new MemoryFolder("m", {});
  folder.open = () => Promise.resolve(source);
  await refuses(folder.readBytes("b", 9), /at most 9/);
  assert.deepEqual({ read, closed }, { read: 0, closed: 1 });
});
