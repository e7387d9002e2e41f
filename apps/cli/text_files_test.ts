import { CalibrationError } from "@lopper/core";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { readSamples } from "./text_files.ts";

const PARQUET = fileURLToPath(
  new URL("../../tests/fixtures/parquet/zstd.parquet", import.meta.url),
);

async function inFolder(body: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir({ prefix: "lopper-texts-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("texts: a folder gives the samples of its files, in the order of their paths", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/b/deep`, { recursive: true });
    await Deno.mkdir(`${folder}/.git`);
    await Deno.writeTextFile(`${folder}/c.txt`, "five\n\nsix");
    await Deno.writeTextFile(`${folder}/a.jsonl`, '{"text":"one"}\n');
    await Deno.writeTextFile(`${folder}/b/x.TXT`, "four");
    await Deno.writeTextFile(`${folder}/b/deep/y.txt`, "two\n\nthree");
    await Deno.writeTextFile(`${folder}/.git/hidden.txt`, "no");
    await Deno.writeTextFile(`${folder}/notes.md`, "no");
    await Deno.symlink(folder, `${folder}/loop`);
    assert.deepEqual(await readSamples(folder), ["one", "two", "three", "four", "five", "six"]);
    assert.deepEqual(await readSamples(`${folder}/c.txt`), ["five", "six"]);
    await Deno.copyFile(PARQUET, `${folder}/d.parquet`);
    assert.equal((await readSamples(folder))[6], "one");
    assert.equal((await readSamples(`${folder}/d.parquet`)).length, 43);
  }));

Deno.test("texts: what is not there, or is no text, is refused by name", () =>
  inFolder(async (folder) => {
    const refused = (path: string, message: RegExp) =>
      assert.rejects(
        readSamples(path),
        (error) => error instanceof CalibrationError && message.test(error.message),
      );
    await refused(folder, /there is no \.txt, \.jsonl or \.parquet file in this folder/);
    for (const name of ["x.txt", "x.parquet"]) {
      await refused(`${folder}/${name}`, /there is no such file/);
    }
    await Deno.writeFile(`${folder}/latin.txt`, Uint8Array.of(0x63, 0x61, 0x66, 0xe9));
    await refused(folder, /latin\.txt: not UTF-8 text/);
  }));
