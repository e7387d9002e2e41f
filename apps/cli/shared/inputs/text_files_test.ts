import { CalibrationError } from "@lopper/core";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { everySample } from "@lopper/importance";
import { readSamples as openSamples, readWholeText as openWholeText } from "./text_files.ts";

const readSamples = async (path: string, notes: string[] = []) =>
  await Array.fromAsync(everySample(await openSamples(path, (line) => notes.push(line))));
const readWholeText = (path: string) => openWholeText(path, () => {});

const PARQUET = fileURLToPath(
  new URL("../../../../tests/fixtures/parquet/zstd.parquet", import.meta.url),
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

Deno.test("texts: what is of another kind in a folder is named in one line, hidden files are not", () =>
  inFolder(async (folder) => {
    const notes: string[] = [];
    for (const name of ["a.txt", ".hidden.md", "notes.md", "b.csv", "c.pdf", "d.json", "e.xml"]) {
      await Deno.writeTextFile(`${folder}/${name}`, "text");
    }
    assert.deepEqual(await readSamples(folder, notes), ["text"]);
    assert.deepEqual(notes, [
      `${folder}: b.csv, c.pdf, d.json and 2 more: passed over, since texts are .txt, .jsonl or .parquet`,
    ]);
    assert.deepEqual(await readSamples(`${folder}/a.txt`, notes), ["text"]);
    assert.equal(notes.length, 1);
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

Deno.test("texts: links are followed, and what two of them name is there once", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/data`);
    await Deno.mkdir(`${folder}/elsewhere`);
    await Deno.writeTextFile(`${folder}/data/z.txt`, "last");
    await Deno.writeTextFile(`${folder}/elsewhere/y.txt`, "first");
    await Deno.symlink("z.txt", `${folder}/data/a.txt`);
    await Deno.symlink("../elsewhere", `${folder}/data/b`);
    await Deno.symlink("../elsewhere/y.txt", `${folder}/data/c.txt`);
    assert.deepEqual(await readSamples(`${folder}/data`), ["first", "last"]);
    await Deno.symlink("gone", `${folder}/data/d.txt`);
    await assert.rejects(readSamples(`${folder}/data`), /d\.txt: there is no such file$/);
  }));

Deno.test("texts: a data set in the hub's cache is that of its branch main, whose files are links", () =>
  inFolder(async (folder) => {
    const set = `${folder}/datasets--someone--words`;
    await Deno.mkdir(`${set}/blobs`, { recursive: true });
    await Deno.mkdir(`${set}/refs`);
    for (const [revision, text] of [["1".repeat(40), "old"], ["2".repeat(40), "new"]]) {
      await Deno.mkdir(`${set}/snapshots/${revision}`, { recursive: true });
      await Deno.writeTextFile(`${set}/blobs/${text}`, JSON.stringify({ text }));
      await Deno.symlink(`../../blobs/${text}`, `${set}/snapshots/${revision}/train.jsonl`);
      await Deno.writeTextFile(`${set}/refs/main`, `${revision}\n`);
    }
    assert.deepEqual(await readSamples(`${set}/snapshots/${"1".repeat(40)}`), ["old"]);
    assert.deepEqual(await readSamples(set), ["new"]);
  }));

Deno.test("texts: UTF-16 is named, a byte order mark is no part of a sample, and a device is none", () =>
  inFolder(async (folder) => {
    const file = `${folder}/x.jsonl`;
    await Deno.writeTextFile(file, '\ufeff{"text":"a"}\r\n\r\n{"text":"b"}\r\n \r\n');
    assert.deepEqual(await readSamples(file), ["a", "b"]);
    await Deno.writeTextFile(`${folder}/x.txt`, "\ufeffa\r\n\r\nb");
    assert.deepEqual(await readSamples(`${folder}/x.txt`), ["a", "b"]);
    assert.equal(await readWholeText(`${folder}/x.txt`), "a\r\n\r\nb");
    await Deno.writeFile(`${folder}/w.txt`, Uint8Array.of(0xff, 0xfe, 0x61, 0, 0x62, 0));
    const refused = (path: string, message: RegExp) =>
      Promise.all([readSamples, readWholeText].map((read) => assert.rejects(read(path), message)));
    await refused(`${folder}/w.txt`, /^[CE]\w+Error: .*w\.txt: it is UTF-16 text/);
    if (Deno.build.os !== "windows") await refused("/dev/zero", /\/dev\/zero: this is a device/);
  }));
