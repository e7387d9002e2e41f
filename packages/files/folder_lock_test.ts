import { FolderBusyError, WriteError } from "@lopper/core";
import { FolderLock, LOCK_FILE } from "./folder_lock.ts";
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`folder lock: ${name}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await body(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name);

async function busy(
  folder: string,
  message = /is in use by another Lopper \(process \d+.*\); wait/,
) {
  for (const attempt of [FolderLock.take, FolderLock.check]) {
    await assert.rejects(attempt(folder), (error) => {
      assert.ok(error instanceof FolderBusyError, String(error));
      assert.match(error.message, message);
      assert.ok(error.message.startsWith(folder), error.message);
      return true;
    });
  }
}

/** A process that runs this code, where the lock is at hand. */
function inProcess(code: string): Deno.Command {
  const module = fileURLToPath(new URL("./folder_lock.ts", import.meta.url));
  const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
  const whole = `import { FolderLock } from ${JSON.stringify(module)}; ${code}`;
  const args = ["eval", "--quiet", "--cached-only", "--config", config, whole];
  return new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "piped" });
}

test("one has it, whatever the folder is called, and leaves nothing", async (folder) => {
  await Deno.mkdir(`${folder}/a`);
  await Deno.symlink("a", `${folder}/link`);
  const lock = await FolderLock.take(`${folder}/a`);
  for (const name of ["a", "link", "a/", "link/../a/."]) await busy(`${folder}/${name}`);
  await lock.release();
  await FolderLock.check(`${folder}/a`);
  assert.deepEqual(names(`${folder}/a`), []);
  await (await FolderLock.take(`${folder}/link`)).release();
});

test("a folder that was made for it goes with it, unless something came into it", async (folder) => {
  await (await FolderLock.take(`${folder}/a/b/c`)).release();
  assert.deepEqual(names(folder), []);
  const lock = await FolderLock.take(`${folder}/a/b/c`);
  await Deno.writeTextFile(`${folder}/a/notes.txt`, "");
  await lock.release();
  assert.deepEqual(names(`${folder}/a`), ["notes.txt"]);
  // a folder that was there stays, empty or not
  await Deno.mkdir(`${folder}/own`);
  await (await FolderLock.take(`${folder}/own`)).release();
  await FolderLock.check(`${folder}/none`);
  assert.deepEqual(names(folder).sort(), ["a", "own"]);
});

test("of many that want it at once one has it at a time", async (folder) => {
  let holders = 0, most = 0;
  const work = async () => {
    for (let n = 0; n < 10; n++) {
      const lock = await FolderLock.take(`${folder}/a`).catch((error) => {
        assert.ok(error instanceof FolderBusyError, String(error));
        return null;
      });
      if (!lock) continue;
      most = Math.max(most, ++holders);
      await new Promise((resolve) => setTimeout(resolve, 1));
      holders--;
      await lock.release();
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  assert.equal(most, 1);
  // who came while another went finds a folder that is not of its own making
  if (names(folder).length > 0) assert.deepEqual(names(`${folder}/a`), []);
});

test("of processes that want it at once one has it at a time, although its file comes and goes", async (folder) => {
  // The inner folder stands in for what only one may do: to make it fails where it is.
  const code = `for (let n = 0; n < 150; n++) {
    const lock = await FolderLock.take(${JSON.stringify(folder)}).catch(() => null);
    if (lock === null) continue;
    Deno.mkdirSync(${JSON.stringify(`${folder}/one`)});
    Deno.removeSync(${JSON.stringify(`${folder}/one`)});
    await lock.release();
  }`;
  const ends = await Promise.all(Array.from({ length: 3 }, () => inProcess(code).output()));
  for (const { success, stderr } of ends) assert.ok(success, new TextDecoder().decode(stderr));
  assert.deepEqual(names(folder), []);
});

test("a file that its last holder removes while it is being locked is no lock", async (folder) => {
  const { prototype } = DatabaseSync;
  const { exec } = prototype;
  let removed = 0;
  prototype.exec = function (sql) {
    if (sql.startsWith("BEGIN") && removed++ === 0) Deno.removeSync(`${folder}/${LOCK_FILE}`);
    return exec.call(this, sql);
  };
  try {
    const lock = await FolderLock.take(folder);
    assert.ok(removed > 1, "it was tried for again");
    await busy(folder);
    await lock.release();
  } finally {
    prototype.exec = exec;
  }
});

test("that of a process which was killed is free, and that of one which lives is not", async (folder) => {
  const code = `await FolderLock.take(${JSON.stringify(folder)}); console.log("taken");
    await new Promise(() => setTimeout(() => {}, 1e6))`;
  const process = inProcess(code).spawn();
  const { value } = await process.stdout.getReader().read();
  assert.match(new TextDecoder().decode(value), /taken/);
  await busy(folder, new RegExp(`\\(process ${process.pid}`));
  process.kill("SIGKILL");
  await process.status;
  assert.deepEqual(names(folder), [LOCK_FILE], "a kill leaves the file");
  await FolderLock.check(folder);
  await (await FolderLock.take(folder)).release();
  assert.deepEqual(names(folder), []);
});

test("a file system without locks is told of, and what else is wrong is a sentence", async (folder) => {
  let told = 0;
  const onNoLocks = () => told++;
  // The call that locks fails, or says for ever that another has the lock, and nobody may read who.
  const lock = await FolderLock.take(folder, { take: () => "no locks", onNoLocks });
  assert.equal(told, 1);
  await lock.release();
  const database = new DatabaseSync(`${folder}/${LOCK_FILE}`);
  database.exec("BEGIN EXCLUSIVE");
  await FolderLock.check(folder);
  const other = await FolderLock.take(folder, { onNoLocks });
  assert.equal(told, 2);
  database.close();
  await other.release();
  assert.deepEqual(names(folder), []);
  const full = () => {
    throw new Error("database or disk is full");
  };
  await assert.rejects(
    FolderLock.take(folder, { take: full }),
    /^WriteError: .*\.lopper\.lock cannot be written: database or disk is full$/,
  );
});

test("a lock that a kill left half written, or an earlier Lopper, is nobody's", async (folder) => {
  for (const left of ["process 7 on host, since 2026-11-30\n", "SQLite format 3\0torn"]) {
    await Deno.writeTextFile(`${folder}/${LOCK_FILE}`, left);
    await FolderLock.check(folder);
    await (await FolderLock.take(folder)).release();
    assert.deepEqual(names(folder), []);
  }
});

test("a link in its place is not followed", async (folder) => {
  await Deno.mkdir(`${folder}/x`);
  await Deno.writeTextFile(`${folder}/letter.txt`, "Dear Ishmael");
  await Deno.symlink("../letter.txt", `${folder}/x/${LOCK_FILE}`);
  await assert.rejects(FolderLock.take(`${folder}/x`), WriteError);
  assert.equal(await Deno.readTextFile(`${folder}/letter.txt`), "Dear Ishmael");
});
