import { CheckpointFormatError, WriteError } from "@lopper/core";
import { AppendFile } from "./append_file.ts";
import { FileFolder } from "./file_folder.ts";
import { FileSink } from "./file_sink.ts";
import { FileSource } from "./file_source.ts";
import { isMissing } from "./system_reason.ts";
import { writeTextFileAtomically } from "./write_text_file.ts";
import assert from "node:assert/strict";
import files from "node:fs";
import fs from "node:fs/promises";

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

test("file source: what is long is read meanwhile, where it is told to, and before it is closed", async (dir) => {
  const wanted = Uint8Array.from({ length: 3 * 2 ** 20 }, (_, i) => i % 251);
  await Deno.writeFile(`${dir}/f`, wanted);
  const source = await FileSource.open(`${dir}/f`);
  const room = new Uint8Array(4 * 2 ** 20);
  const [long, short] = [source.read(1, 2 ** 21, room), source.read(1, 3)];
  assert.deepEqual(await short, wanted.subarray(1, 4));
  const read = await long;
  assert.equal(read.buffer, room.buffer);
  assert.deepEqual(read, wanted.subarray(1, 1 + 2 ** 21));
  const last = source.read(0, 3 * 2 ** 20);
  source.close();
  assert.deepEqual(await last, wanted);
  await assert.rejects(source.read(0, 1), /EBADF|closed|[Bb]ad/);

  const shorter = await FileSource.open(`${dir}/f`);
  await Deno.truncate(`${dir}/f`, 2 ** 21);
  await assert.rejects(shorter.read(0, 3 * 2 ** 20), /ended 1048576 bytes early/);
  shorter.close();
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

test("file source: a file that is missing is the system's error, and every read is a new array", async (dir) => {
  await assert.rejects(FileSource.open(`${dir}/none`), isMissing);
  await Deno.writeFile(`${dir}/f`, new Uint8Array([1, 2, 3]));
  const source = await FileSource.open(`${dir}/f`);
  assert.equal(source.name, `${dir}/f`);
  assert.equal(source.size, 3);
  const first = await source.read(0, 2);
  first.fill(9);
  assert.deepEqual(await source.read(0, 3), new Uint8Array([1, 2, 3]));
  assert.deepEqual(await source.read(3, 0), new Uint8Array(0));
  await assert.rejects(source.read(2, 2), (error) => {
    assert.ok(error instanceof CheckpointFormatError);
    assert.deepEqual(error.location, { file: `${dir}/f`, offset: 2 });
    assert.match(error.message, /2 bytes are needed from there and the file has 3 bytes/);
    return true;
  });
  source.close();
});

test("file sink: the name is absent until commit, and abort keeps what was there before", async (dir) => {
  const exists = () => [...Deno.readDirSync(dir)].some(({ name }) => name === "f");
  const sink = await FileSink.open(`${dir}/f`);
  await sink.write(new Uint8Array(100_000).fill(7));
  assert.equal(exists(), false);
  await sink.commit();
  assert.equal((await Deno.readFile(`${dir}/f`)).every((byte) => byte === 7), true);
  const second = await FileSink.open(`${dir}/f`);
  await second.write(new Uint8Array(3));
  await second.abort();
  await second.abort();
  assert.equal((await Deno.stat(`${dir}/f`)).size, 100_000);
  assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["f"]);
});

test("file sink: a commit that fails leaves nothing after abort", async (dir) => {
  await Deno.mkdir(`${dir}/f`);
  const sink = await FileSink.open(`${dir}/f`);
  await sink.write(new Uint8Array(3));
  await assert.rejects(sink.commit());
  await sink.abort();
  assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["f"]);
  await assert.rejects(writeTextFileAtomically(`${dir}/f`, "text"));
  assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["f"]);
  await assert.rejects(
    FileSink.open(`${dir}/none/f`),
    /^WriteError: .*none\/f cannot be written: its folder is not there$/,
  );
});

test("file sink: no file of another's is touched, and what a kill left goes in time", async (dir) => {
  const now = new Date();
  const yesterday = new Date(now.getTime() - 25 * 60 * 60 * 1000);
  const others = [
    ".f.partial",
    "f.partial",
    ".f.0123.lopper-partial",
    ".g.0123456789ab.lopper-partial",
  ];
  const left = [".f.0123456789ab.lopper-partial", ".f.ba9876543210.lopper-partial"];
  for (const name of [...others, ...left]) await Deno.writeTextFile(`${dir}/${name}`, name);
  for (const name of [...others, left[0]]) await Deno.utime(`${dir}/${name}`, yesterday, yesterday);
  // whoever writes the other may still be at it
  await writeTextFileAtomically(`${dir}/f`, "new");
  const names = [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
  assert.deepEqual(names, [...others, left[1], "f"].sort());
  for (const name of others) assert.equal(await Deno.readTextFile(`${dir}/${name}`), name);
});

test("file sink: two that write the same file do not write into each other", async (dir) => {
  const path = `${dir}/${"ü".repeat(120)}.txt`;
  const [a, b] = [await FileSink.open(path), await FileSink.open(path)];
  await a.write(new TextEncoder().encode("from the first"));
  await b.write(new TextEncoder().encode("from the second"));
  await a.commit();
  assert.equal(await Deno.readTextFile(path), "from the first");
  await b.commit();
  assert.equal(await Deno.readTextFile(path), "from the second");
  assert.equal([...Deno.readDirSync(dir)].length, 1);
});

/** What a disk may have against a file, by the call that fails. */
const FAILURES: readonly (readonly [code: string, message: RegExp])[] = [
  ["ENOSPC", /there is no space left on its disk$/],
  ["EDQUOT", /the user's share of the disk is used up$/],
  ["EACCES", /permission is denied$/],
  ["EROFS", /its file system is read-only$/],
  ["EIO", /the disk reports an error$/],
  ["EWEIRD", /cannot be written: as the system says$/],
];

/**
 * Runs `body` while a method of the platform fails with this code, after as many calls as it takes.
 */
async function failing(
  owner: object,
  method: string,
  code: string,
  body: () => Promise<void>,
  after = 0,
) {
  const real = Reflect.get(owner, method);
  let calls = 0;
  Reflect.set(owner, method, function (this: unknown, ...args: unknown[]) {
    if (calls++ < after) return real.apply(this, args);
    throw Object.assign(new Error("as the system says"), { code });
  });
  try {
    await body();
  } finally {
    Reflect.set(owner, method, real);
  }
}

test("file sink: what the disk has against it is one sentence, and nothing is left", async (dir) => {
  await Deno.writeTextFile(`${dir}/f`, "old");
  const opened = await fs.open(`${dir}/f`, "r");
  const handle = Object.getPrototypeOf(opened);
  await opened.close();
  for (const [code, message] of FAILURES) {
    for (
      const [owner, method] of [
        [fs, "open"],
        [handle, "write"],
        [handle, "sync"],
        [fs, "rename"],
      ] as const
    ) {
      await failing(
        owner,
        method,
        code,
        () =>
          assert.rejects(writeTextFileAtomically(`${dir}/f`, "new"), (error) => {
            assert.ok(error instanceof WriteError, `${method}: ${error}`);
            assert.ok(error.message.startsWith(`${dir}/f cannot be written: `), error.message);
            assert.match(error.message, message);
            return true;
          }),
      );
      assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["f"], method);
      assert.equal(await Deno.readTextFile(`${dir}/f`), "old");
    }
  }
});

test("append file: a line that does not fit is a sentence, and cut off when it goes on", async (dir) => {
  const path = `${dir}/journal`;
  const file = await AppendFile.open(path);
  await file.appendLine("one");
  for (const method of ["writeSync", "fdatasyncSync"]) {
    await failing(files, method, "ENOSPC", () =>
      assert.rejects(
        file.appendLine("two"),
        /^WriteError: .*journal cannot be written: there is no space left on its disk$/,
      ));
  }
  file.close();
  await Deno.writeTextFile(path, '{"half', { append: true });
  await AppendFile.truncateTornTail(path);
  assert.deepEqual((await AppendFile.readLines(path)).lines.slice(0, 1), ["one"]);
});

test("append file: one that was moved or removed takes no more lines", async (dir) => {
  for (
    const change of [
      (path: string) => Deno.remove(path),
      (path: string) => Deno.rename(path, `${path}.old`),
      (path: string) => Deno.rename(path, `${path}.old`).then(() => Deno.writeTextFile(path, "")),
    ]
  ) {
    const path = `${dir}/journal`;
    const file = await AppendFile.open(path);
    await file.appendLine("one");
    await file.checkInPlace();
    await change(path);
    for (const attempt of [() => file.checkInPlace(), () => file.appendLine("two")]) {
      await assert.rejects(attempt, /^WriteError: .*journal cannot be written: somebody moved/);
    }
    file.close();
  }
});

test("append file: nothing is written through a link", async (dir) => {
  await Deno.writeTextFile(`${dir}/letter.txt`, "Dear Ishmael");
  await Deno.symlink("letter.txt", `${dir}/journal`);
  for (const attempt of [AppendFile.open, AppendFile.truncateTornTail]) {
    await assert.rejects(attempt(`${dir}/journal`), /^WriteError: .*journal .* it is a link/);
  }
  assert.equal(await Deno.readTextFile(`${dir}/letter.txt`), "Dear Ishmael");
});

test("append file: a tail is torn at any byte of a line but the last", async (dir) => {
  const line = '{"step":1,"name":"ü"}';
  const whole = new TextEncoder().encode(`first\n${line}\n`);
  for (let n = 0; n <= whole.byteLength; n++) {
    const path = `${dir}/${n}`;
    await Deno.writeFile(path, whole.subarray(0, n));
    const lines = n === whole.byteLength ? ["first", line] : n >= 6 ? ["first"] : [];
    const tornTail = n !== 0 && n !== 6 && n !== whole.byteLength;
    assert.deepEqual(await AppendFile.readLines(path), { lines, tornTail }, `${n} bytes`);
    await AppendFile.truncateTornTail(path);
    assert.deepEqual(await AppendFile.readLines(path), { lines, tornTail: false });
    if (!tornTail) assert.equal((await Deno.stat(path)).size, n);
  }
  await AppendFile.truncateTornTail(`${dir}/none`);
  await assert.rejects(Deno.stat(`${dir}/none`), Deno.errors.NotFound);
});

test("file folder: a folder under a file's name is no file", async (dir) => {
  await Deno.mkdir(`${dir}/config.json`);
  const folder = new FileFolder(dir);
  assert.equal(await folder.has("config.json"), false);
  await assert.rejects(folder.open("config.json"), (error) => {
    assert.ok(error instanceof CheckpointFormatError, String(error));
    assert.match(error.message, /there is no file config\.json in this folder/);
    return true;
  });
});

test("file folder: a name that no file system takes is refused, and a dangling link is a missing file", async (dir) => {
  const folder = new FileFolder(dir);
  const long = "x".repeat(256);
  await assert.rejects(folder.has(long), CheckpointFormatError);
  await assert.rejects(folder.open(long), CheckpointFormatError);
  assert.equal(await folder.has("x".repeat(255)), false);
  await Deno.symlink(`${dir}/none`, `${dir}/link`);
  assert.equal(await folder.has("link"), false);
  await assert.rejects(folder.open("link"), /there is no file link in this folder/);
  assert.deepEqual(await folder.list(), ["link"]);
});

test("file folder: a folder that is missing or a file is named by every method", async (dir) => {
  await Deno.writeTextFile(`${dir}/f`, "");
  const wrong: [string, RegExp][] = [
    [`${dir}/none`, /none: there is no such folder$/],
    [`${dir}/f`, /f: this is a file; Lopper opens the folder that holds config\.json/],
  ];
  for (const [path, message] of wrong) {
    const folder = new FileFolder(path);
    const attempts = [
      () => folder.open("a"),
      () => folder.readBytes("a", 9),
      () => folder.list(),
    ];
    for (const attempt of attempts) {
      await assert.rejects(attempt as () => Promise<unknown>, (error) => {
        assert.ok(error instanceof CheckpointFormatError, String(error));
        assert.match(error.message, message);
        return true;
      });
    }
  }
});
