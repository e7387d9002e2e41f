/**
 * What files are and are not, in whatever runs this: node_test.ts compares what Deno and Node say
 * of the same folder.
 *
 * Usage: FOLDER, or FOLDER hold, which keeps a lock until somebody ends it
 */
import { INPUTS } from "@lopper/core";
import {
  AppendFile,
  FileFolder,
  FileSink,
  FolderLock,
  listFilesDeep,
  readInput,
  readInputIfThere,
  SourceWatch,
  writeTextFileAtomically,
} from "@lopper/files";
import { appendFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";

const [folder, hold] = process.argv.slice(2);
const at = (name: string) => join(folder, name);

/** What comes of a call, in words. */
async function said(call: () => Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify(await call()) ?? "done";
  } catch (error) {
    return String(error);
  }
}

if (hold) {
  await FolderLock.take(folder);
  console.log(`held by ${process.pid}`);
  await new Promise((resolve) => setTimeout(resolve, 60_000));
}

const lines: string[] = [];
const say = async (what: string, call: () => Promise<unknown>) =>
  void lines.push(`${what}: ${(await said(call)).replaceAll(folder, "FOLDER")}`);

for (const name of (await readdir(folder)).sort()) {
  await say(`read ${name}`, () => readInput(at(name), INPUTS.lock));
  await say(`in a model ${name}`, async () => {
    const source = await new FileFolder(folder).open(name);
    source.close();
    return source.size;
  });
}
await say("read what is not there", () => readInputIfThere(at("none/x"), INPUTS.lock));
await say("read what no system has", () => readInput(at("x".repeat(300)), INPUTS.lock));
await say("list", () => listFilesDeep(folder));
await say("list none", () => new FileFolder(at("none")).list());
await say("write into nothing", () => FileSink.open(at("none/x")));
await say("write over a folder", () => writeTextFileAtomically(at("folder"), "text"));
await say("grow by a link", () => AppendFile.open(at("link")));
await say("grow", async () => {
  const file = await AppendFile.open(at("journal"));
  await file.appendLines(["one", "zwei ü"]);
  file.close();
  await appendFile(at("journal"), "torn");
  await AppendFile.truncateTornTail(at("journal"));
  return await AppendFile.readLines(at("journal"));
});
await say("watch", async () => {
  const watch = new SourceWatch();
  await watch.see(at("journal"));
  await writeTextFileAtomically(at("journal"), "something else");
  return await watch.changed();
});
await say("a lock that another has", () => FolderLock.take(at("locked")));
await say("a lock that is free", async () => {
  const lock = await FolderLock.take(at("new/inner"));
  const names = await readdir(at("new/inner"));
  await lock.release();
  return [names, await readInputIfThere(at("new/inner"), INPUTS.lock)];
});
console.log(lines.join("\n"));
