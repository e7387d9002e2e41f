import { SourceChangedError } from "@lopper/core";
import { SourceWatch } from "@lopper/files";
import { modelDigest } from "@lopper/models";
import { tinyGguf } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { openLocated, TOLD } from "../apps/cli/shared/inputs/open_model.ts";
import { checkUnchanged } from "../apps/cli/shared/inputs/source_check.ts";

const MODEL = fileURLToPath(new URL("./fixtures/families/qwen2", import.meta.url));

const earlier = new Date(Date.now() - 60_000);
const later = new Date(Date.now() + 60_000);

/** Works on a model during which `change` happens, then looks whether it is what it was. */
async function during(change: (folder: string) => Promise<void>, gguf = false): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for await (const { name } of Deno.readDir(MODEL)) {
      await Deno.copyFile(`${MODEL}/${name}`, `${folder}/${name}`);
    }
    await Deno.writeTextFile(`${folder}/LICENSE`, "terms");
    await Deno.writeTextFile(`${folder}/vocab.json`, "{}");
    await Deno.writeTextFile(`${folder}/notes.md`, "notes");
    await Deno.writeFile(`${folder}/model.gguf`, tinyGguf());
    // clocks of file systems tick some milliseconds at a time
    for await (const { name } of Deno.readDir(folder)) {
      await Deno.utime(`${folder}/${name}`, earlier, earlier);
    }
    const path = gguf ? `${folder}/model.gguf` : folder;
    const watch = new SourceWatch();
    const located = { path, title: "m" };
    const model = await openLocated(located, TOLD, watch);
    try {
      const digest = await modelDigest(model);
      await change(folder);
      await checkUnchanged(watch, located, digest);
    } finally {
      model[Symbol.dispose]();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Changes one byte; the size stays. */
async function flip(path: string, at: (bytes: Uint8Array) => number) {
  const bytes = await Deno.readFile(path);
  bytes[at(bytes)] ^= 1;
  await Deno.writeFile(path, bytes);
}

Deno.test("source check: what is the same in the end is the same, also when it was touched", async () => {
  await during(() => Promise.resolve());
  await during(async (folder) => {
    for await (const { name } of Deno.readDir(folder)) {
      await Deno.utime(`${folder}/${name}`, later, later);
    }
  });
  await during(async (folder) => {
    // written anew by somebody, under another name first
    for (const file of ["model.safetensors", "config.json"]) {
      await Deno.copyFile(`${folder}/${file}`, `${folder}/new`);
      await Deno.rename(`${folder}/new`, `${folder}/${file}`);
    }
  });
  await during((folder) => Deno.utime(`${folder}/model.gguf`, later, later), true);
  // what belongs to no model may come, change and go
  await during(async (folder) => {
    await Deno.writeTextFile(`${folder}/notes.md`, "other notes");
    await Deno.writeTextFile(`${folder}/more.md`, "more");
    await Deno.remove(`${folder}/model.gguf`);
  });
});

Deno.test("source check: a file that changed or went is named", async () => {
  const changes: readonly [string, (folder: string) => Promise<void>, boolean?][] = [
    ["model.safetensors was changed", (f) => flip(`${f}/model.safetensors`, (b) => b.length - 1)],
    ["model.safetensors was changed", (f) => Deno.truncate(`${f}/model.safetensors`, 500)],
    ["model.safetensors is gone", (f) => Deno.remove(`${f}/model.safetensors`)],
    ["config.json was changed", (f) => Deno.writeTextFile(`${f}/config.json`, "{}")],
    ["config.json is gone", (f) => Deno.rename(`${f}/config.json`, `${f}/config.old`)],
    ["LICENSE was changed", (f) => Deno.writeTextFile(`${f}/LICENSE`, "Terms")],
    ["vocab.json was changed", (f) => Deno.writeTextFile(`${f}/vocab.json`, "[]")],
    ["vocab.json is gone", (f) => Deno.remove(`${f}/vocab.json`)],
    ["model.gguf was changed", (f) => flip(`${f}/model.gguf`, (b) => b.length - 1), true],
    ["model.gguf was changed", (f) => flip(`${f}/model.gguf`, () => 100), true],
    ["model.gguf is gone", (f) => Deno.remove(`${f}/model.gguf`), true],
  ];
  for (const [what, change, gguf] of changes) {
    await assert.rejects(during(change, gguf), (error) => {
      assert.ok(error instanceof SourceChangedError, String(error));
      assert.ok(error.message.includes(`/${what} while the model was worked on`), error.message);
      return true;
    });
  }
});
