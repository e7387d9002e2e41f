import { WriteError } from "@lopper/core";
import assert from "node:assert/strict";
import { isPartialName } from "./file_sink.ts";
import { ScratchFile } from "./scratch_file.ts";

const bytes = (length: number, first: number) =>
  Uint8Array.from({ length }, (_, i) => (first + 31 * i) % 256);

Deno.test("scratch file: has what was written anywhere, and nothing is left of it", async () => {
  const folder = await Deno.makeTempDir();
  const file = await ScratchFile.open(folder);
  await file.write(100, bytes(50, 1));
  await file.write(0, bytes(100, 2));
  await file.write(20, bytes(10, 3));
  assert.deepEqual(await file.read(100, 50), bytes(50, 1));
  assert.deepEqual(
    await file.read(15, 10),
    Uint8Array.of(...bytes(100, 2).subarray(15, 20), ...bytes(5, 3)),
  );
  await assert.rejects(file.read(149, 2), /cannot be read: it is shorter than what was written/);
  for (const { name } of Deno.readDirSync(folder)) assert.ok(isPartialName(name), name);
  await file.close();
  assert.deepEqual([...Deno.readDirSync(folder)], []);
  await Deno.remove(folder);
  await assert.rejects(ScratchFile.open(folder), (error) => {
    assert.ok(error instanceof WriteError);
    assert.match(error.message, /its folder is not there/);
    return true;
  });
});

Deno.test({
  name: "scratch file: where the system can, it has no name while it is open",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir();
    const file = await ScratchFile.open(folder);
    await file.write(0, bytes(5, 1));
    assert.deepEqual([...Deno.readDirSync(folder)], [], "whatever ends the process");
    await file.close();
    await Deno.remove(folder);
  },
});
