import { RunFolderError } from "@lopper/core";
import { FileSink } from "@lopper/files";
import assert from "node:assert/strict";
import { NextResult } from "./next_result.ts";
import { NEXT } from "./out_entries.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`next result: ${name}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await body(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

type Files = Readonly<Record<string, string>>;

const run = (of: string, files: readonly string[]): Files => ({
  ...Object.fromEntries(files.map((file) => [file, of])),
  "run.json": JSON.stringify({ kind: "lopper-run", files, of }),
});
const OLD = {
  ...run("old", [
    "config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer.model",
    "additional_chat_templates/tool.jinja",
    "lopper_plan.json",
    "pruning_config.json",
  ]),
  "report.html": "old",
  ".model.safetensors.partial": "old",
};
const NEW = run("new", [
  "config.json",
  "model.safetensors",
  "tokenizer.json",
  "chat_template.jinja",
  "custom/code.py",
  "lopper_plan.json",
]);
const STATE = { "settings.json": '{"kind":"lopper-run-settings"}', "journal.jsonl": "{}\n" };
const NOTES = { "notes.txt": "mine", "pictures/a.png": "mine", ".film.partial": "mine" };

async function write(folder: string, files: Files) {
  for (const [file, text] of Object.entries(files)) {
    const path = `${folder}/${file}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(path, text);
  }
}

async function read(folder: string, under = ""): Promise<Record<string, string>> {
  let found: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${under}`)) {
    const file = under + name;
    if (isDirectory) found = { ...found, ...await read(folder, `${file}/`) };
    else found[file] = await Deno.readTextFile(`${folder}/${file}`);
  }
  return found;
}

const generation = (text: string) => /old|new/.exec(text)?.[0];

/** Whoever opens a folder at any moment sees the files of one result, or no model and no run. */
function checkNoMix(files: Files) {
  for (const sign of ["config.json", "run.json"]) {
    if (!(sign in files)) continue;
    const of = generation(files[sign])!;
    const others = Object.entries(files).filter(([name, text]) =>
      generation(text) && !name.startsWith(NEXT) && !name.endsWith(".partial")
    );
    for (const [name, text] of others) {
      // what one result has and the other lacks may still be there, or not yet
      if (sign === "config.json" && !(name in OLD && name in NEW)) continue;
      if (sign === "config.json" && name === "run.json") continue;
      assert.equal(generation(text), of, `${name} beside the ${of} ${sign}`);
    }
  }
}

/**
 * Runs `body`, whose process ends at the call of that number that changes a folder; whether it came
 * so far.
 */
async function killedAt(call: number, body: () => Promise<void>): Promise<boolean> {
  const { remove, rename, mkdir } = Deno;
  let calls = 0;
  const counted = <A extends unknown[]>(real: (...args: A) => Promise<void>) => (...args: A) =>
    calls++ >= call ? Promise.reject(new Error("killed")) : real(...args);
  Object.assign(Deno, { remove: counted(remove), rename: counted(rename), mkdir: counted(mkdir) });
  try {
    await body();
    return false;
  } catch (error) {
    assert.match((error as Error).message, /killed/);
    return true;
  } finally {
    Object.assign(Deno, { remove, rename, mkdir });
  }
}

for (
  const [what, state] of [["one that goes further", {}], ["one of another run", STATE]] as const
) {
  test(`${what} takes the place of the old one, whenever it is cut off`, async (folder) => {
    const expected = { ...STATE, ...NOTES, ...NEW, ...state };
    let kills = 0;
    for (;; kills++) {
      const path = `${folder}/${kills}`;
      await write(path, { ...STATE, "settings.json": '{"kind":"lopper-run-settings","old":1}' });
      await write(path, { ...OLD, ...NOTES, ...(what.includes("further") ? STATE : {}) });
      await write(`${path}/${NEXT}`, { ...NEW, ...state });
      const settle = () => new NextResult(path).settle();
      const killed = await killedAt(kills, settle);
      checkNoMix(await read(path));
      // once more in the middle of finishing
      await killedAt(Math.floor(kills / 2), settle);
      checkNoMix(await read(path));
      await settle();
      assert.deepEqual(await read(path), expected);
      assert.ok(!await Deno.stat(`${path}/additional_chat_templates`).catch(() => null));
      await settle();
      assert.deepEqual(await read(path), expected);
      if (!killed) break;
    }
    assert.ok(kills > 15, `${kills}`);
  });
}

test("what is not whole changes nothing, and leaves nothing when it is cleared", async (folder) => {
  await write(folder, { ...STATE, ...OLD, ...NOTES });
  const before = await read(folder);
  const next = new NextResult(folder);
  await next.settle();
  const half = await next.sink("model.safetensors");
  await half.write(new Uint8Array(3));
  await next.writeText("config.json", "new");
  await next.writeText("onnx/model.onnx", "new");
  await next.writeText("settings.json", "new");
  await next.settle();
  await half.abort();
  await next.clear(["settings.json"]);
  assert.deepEqual(await read(folder), { ...before, [`${NEXT}/settings.json`]: "new" });
  await next.clear();
  await next.clear();
  assert.deepEqual(await read(folder), before);
  assert.ok(!await Deno.stat(next.path).catch(() => null));
});

test("a file that somebody put in its way is named, and both stay", async (folder) => {
  await write(folder, { ...STATE, ...OLD, "chat_template.jinja": "mine" });
  const next = new NextResult(folder);
  await write(next.path, NEW);
  const before = await read(folder);
  for (let n = 0; n < 2; n++) {
    await assert.rejects(next.settle(), (error) => {
      assert.ok(error instanceof RunFolderError, String(error));
      assert.match(error.message, /chat_template\.jinja is not of the result in that folder/);
      return true;
    });
    assert.deepEqual(await read(folder), before);
  }
  await Deno.remove(`${folder}/chat_template.jinja`);
  await next.settle();
  assert.deepEqual(await read(folder), { ...STATE, ...NEW });
});

test("an export of other files takes the place of an export", async (folder) => {
  const exported = (files: Files) => ({
    ...files,
    "export.json": JSON.stringify({ kind: "lopper-export", files: Object.keys(files) }),
  });
  await write(folder, exported({ "onnx/model.onnx": "old", "config.json": "old" }));
  const fresh = exported({ "x.gguf": "new" });
  await write(`${folder}/${NEXT}`, fresh);
  await new NextResult(folder).settle();
  assert.deepEqual(await read(folder), fresh);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
    "export.json",
    "x.gguf",
  ]);
});

test("errors name the place that a file goes to", async (folder) => {
  const next = new NextResult(folder);
  const sink = await next.sink("config.json");
  await Deno.remove(next.path, { recursive: true });
  await assert.rejects(
    sink.commit(),
    new RegExp(`^WriteError: ${folder}/config.json cannot be written: its folder is not there$`),
  );
  await sink.abort();
  assert.ok(sink instanceof FileSink);
});

test("links lead nowhere: what is written and removed stays in the folder", async (folder) => {
  const elsewhere = { ...NEW, "custom/code.py": "mine", "run.json": "mine", letter: "mine" };
  await write(`${folder}/elsewhere`, elsewhere);
  const attempts: readonly (readonly [string, Files, RegExp])[] = [
    [NEXT, OLD, /\.lopper-next is a link, and a folder is needed there/],
    ["custom", OLD, /custom is a link/],
    [
      "additional_chat_templates",
      { ...OLD, "run.json": JSON.stringify({ kind: "lopper-run", files: Object.keys(OLD) }) },
      /additional_chat_templates is a link/,
    ],
  ];
  for (const [link, old, message] of attempts) {
    const path = `${folder}/${link}-run`;
    const files = Object.entries(old).filter(([file]) => !file.startsWith(`${link}/`));
    await write(path, Object.fromEntries(files));
    if (link !== NEXT) await write(`${path}/${NEXT}`, NEW);
    await Deno.symlink(`${folder}/elsewhere`, `${path}/${link}`);
    await assert.rejects(new NextResult(path).settle(), message);
    assert.deepEqual(await read(`${folder}/elsewhere`), elsewhere);
    for (const [file, text] of files) {
      assert.equal(await Deno.readTextFile(`${path}/${file}`), text);
    }
  }
});

test("a list of what goes that was changed removes nothing", async (folder) => {
  await write(folder, { ...OLD, ...NOTES, [`${NEXT}/run.json`]: NEW["run.json"] });
  const before = await read(folder);
  for (const list of [{ files: ["notes.txt"] }, { files: ["notes.txt"], checksum: "0123" }, []]) {
    await Deno.writeTextFile(`${folder}/${NEXT}/replaced.json`, JSON.stringify(list));
    await assert.rejects(new NextResult(folder).settle(), (error) => {
      assert.ok(error instanceof RunFolderError, String(error));
      assert.match(error.message, /replaced\.json was changed since Lopper wrote it/);
      return true;
    });
  }
  await Deno.remove(`${folder}/${NEXT}/replaced.json`);
  assert.deepEqual(await read(folder), before);
});
