/** What only looks at a model leaves its weights in the file: of large ones they take minutes. */
import { FileSource } from "@lopper/files";
import assert from "node:assert/strict";
import { inTemporaryFolder } from "./support/cli.ts";
import { doneHere } from "./support/in_process.ts";
import { writeTinyRun } from "./support/tiny_run.ts";

/** Bytes of the weights' file that are read while a command runs, and what it says. */
async function readBy(args: readonly string[], folder: string) {
  const { read } = FileSource.prototype;
  let bytes = 0;
  FileSource.prototype.read = function (this: FileSource, offset, length) {
    if (this.name.endsWith("model.safetensors")) bytes += length;
    return read.call(this, offset, length);
  };
  try {
    return { said: await doneHere(args, folder), bytes };
  } finally {
    FileSource.prototype.read = read;
  }
}

const HOLDS = /sha256:[0-9a-f]{64}/;

Deno.test("inspect reads headers, and all bytes where the digest is asked for", () =>
  inTemporaryFolder(async (folder) => {
    const [model] = await writeTinyRun(folder);
    const { size } = await Deno.stat(`${model}/model.safetensors`);
    for (const json of [[], ["--json"]]) {
      const { said, bytes } = await readBy(["inspect", model, ...json], folder);
      assert.doesNotMatch(said, HOLDS);
      assert.ok(bytes > 0 && bytes < size / 4, `${bytes} of ${size} bytes`);
      const whole = await readBy(["inspect", model, "--digest", ...json], folder);
      assert.match(whole.said, HOLDS);
      assert.ok(whole.bytes >= size, `${whole.bytes} of ${size} bytes`);
    }
  }));

Deno.test("a rehearsal loads and ranks weights, and takes no digest of them", () =>
  inTemporaryFolder(async (folder) => {
    const run = await writeTinyRun(folder);
    const { size } = await Deno.stat(`${run[0]}/model.safetensors`);
    // The embedding is not ranked.
    const { bytes } = await readBy(["prune", ...run, "--dry-run", "--out", "p"], folder);
    assert.ok(bytes >= size && bytes < 2 * size, `${bytes} of ${size} bytes`);
  }));
