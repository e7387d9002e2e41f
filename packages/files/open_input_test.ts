import { INPUTS, LopperError } from "@lopper/core";
import { AppendFile } from "./append_file.ts";
import { FileFolder } from "./file_folder.ts";
import { listFilesDeep } from "./list_files.ts";
import { openInput, readInput, readInputIfThere } from "./open_input.ts";
import assert from "node:assert/strict";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`inputs: ${name}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await body(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

const KINDS = Object.entries(INPUTS);

/** Every way to read a file of each kind refuses one with a sentence that begins with its name. */
async function refused(path: string, message: RegExp, kinds = KINDS) {
  for (const [name, kind] of kinds) {
    for (const read of [openInput, readInput, readInputIfThere]) {
      await assert.rejects(read(path, kind), (error) => {
        assert.ok(error instanceof LopperError, `${name}: ${error}`);
        assert.ok(error.message.startsWith(`${path}: `), error.message);
        assert.match(error.message, message);
        return true;
      });
    }
  }
}

test("a file, and a link to one, is read as text without its mark", async (folder) => {
  await Deno.writeTextFile(`${folder}/a`, "\ufeffgrün");
  await Deno.symlink("a", `${folder}/link`);
  await Deno.symlink("link", `${folder}/twice`);
  for (const name of ["a", "link", "twice"]) {
    assert.equal(await readInput(`${folder}/${name}`, INPUTS.plan), "grün");
  }
});

test("what is not there is said, or null where it need not be", async (folder) => {
  await Deno.symlink("nothing", `${folder}/dangling`);
  await Deno.writeTextFile(`${folder}/file`, "");
  for (const path of [`${folder}/none`, `${folder}/dangling`, `${folder}/file/inner`]) {
    await assert.rejects(readInput(path, INPUTS.plan), /^PlanError: .*: there is no such file$/);
    assert.equal(await readInputIfThere(path, INPUTS.plan), null);
  }
});

test("what is no regular file is refused unopened, also by a link to it", async (folder) => {
  await Deno.symlink(folder, `${folder}/to-folder`);
  await refused(`${folder}/to-folder`, /: this is a folder; Lopper reads regular files/);
  if (Deno.build.os === "windows") return;
  await makePipe(`${folder}/pipe`);
  using _listener = Deno.listen({ transport: "unix", path: `${folder}/socket` });
  await Deno.symlink("/dev/zero", `${folder}/to-device`);
  await Deno.symlink("pipe", `${folder}/to-pipe`);
  await refused(`${folder}/pipe`, /: this is a pipe; /);
  await refused(`${folder}/to-pipe`, /: this is a pipe; /);
  await refused(`${folder}/socket`, /: this is a socket; /);
  await refused(`${folder}/to-device`, /: this is a device; /);
  await refused("/dev/zero", /: this is a device; /);
  await assert.rejects(AppendFile.readLines(`${folder}/pipe`), /: this is a pipe; /);
});

test("a file that is larger than its kind is refused before a byte of it is read", async (folder) => {
  const path = `${folder}/sparse`;
  await Deno.writeTextFile(path, "");
  await Deno.truncate(path, 6e9);
  const limited = KINDS.filter(([, { maxBytes }]) => maxBytes < Infinity);
  assert.ok(limited.length > 5);
  await refused(path, /: it has 6000000000 bytes and .* has \d+ at most$/, limited);
  await Deno.truncate(path, INPUTS.revision.maxBytes + 1);
  await refused(path, /it has 4097 bytes and the name of a revision has 4096 at most/, [
    ["revision", INPUTS.revision],
  ]);
});

test("a file of a model's folder that is no regular file is there, and refused", async (folder) => {
  if (Deno.build.os === "windows") return;
  await makePipe(`${folder}/config.json`);
  await Deno.symlink("/dev/zero", `${folder}/model.safetensors`);
  const model = new FileFolder(folder);
  for (const [file, nature] of [["config.json", "a pipe"], ["model.safetensors", "a device"]]) {
    assert.equal(await model.has(file), true);
    const message = new RegExp(`^CheckpointFormatError: .*/${file}: this is ${nature};`);
    await assert.rejects(model.open(file), message);
    await assert.rejects(model.readBytes(file, 1e9), message);
  }
});

test("files in folders are listed by links, too, and a link back up ends", async (folder) => {
  await Deno.mkdir(`${folder}/blobs`);
  await Deno.mkdir(`${folder}/set/part`, { recursive: true });
  await Deno.writeTextFile(`${folder}/blobs/x`, "");
  await Deno.symlink("../../blobs/x", `${folder}/set/part/a.jsonl`);
  await Deno.symlink("../blobs", `${folder}/set/linked`);
  await Deno.symlink("..", `${folder}/set/up`);
  await Deno.symlink("gone", `${folder}/set/dangling.txt`);
  const found = await listFilesDeep(`${folder}/set`);
  assert.deepEqual(found, ["dangling.txt", "linked/x", "part/a.jsonl"]);
});

async function makePipe(path: string) {
  const { success } = await new Deno.Command("mkfifo", { args: [path] }).output();
  assert.ok(success);
}
