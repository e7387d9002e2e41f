import { type LopperError, ResumeError, seal, UsageError } from "@lopper/core";
import { openModel } from "@lopper/models";
import { tinyGguf } from "@lopper/models/testing";
import assert from "node:assert/strict";
import { homedir } from "node:os";
import { evaluateCommand } from "../apps/cli/evaluate/evaluate.ts";
import { exportCommand } from "../apps/cli/export/export.ts";
import { pruneCommand } from "../apps/cli/prune/prune.ts";
import { reportCommand } from "../apps/cli/report/report.ts";
import { RunFolder } from "../apps/cli/shared/folder/run_folder.ts";
import { inTemporaryFolder } from "./support/cli.ts";
import { Random, tinyModel } from "./support/tiny_models.ts";
import { withTokenizer } from "./support/with_tokenizer.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`overwrite: ${name}`, () => inTemporaryFolder(body));

const COMMANDS = {
  prune: pruneCommand,
  export: exportCommand,
  evaluate: evaluateCommand,
  report: reportCommand,
};

/** Runs a command in this process, which has to refuse it before it begins. */
async function refused(
  [name, ...args]: readonly [keyof typeof COMMANDS, ...string[]],
  message: RegExp,
  kind: new (...args: never[]) => LopperError = UsageError,
) {
  const command = COMMANDS[name]().exitOverride();
  await assert.rejects(command.parseAsync(args, { from: "user" }), (error) => {
    assert.ok(error instanceof kind, `${args.join(" ")}: ${error}`);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n|\. /, "one sentence");
    return true;
  });
}

/** All that is in a folder: names, kinds, times, targets of links, and bytes. */
async function contents(path: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(path)) {
    const file = `${path}/${name}`;
    const { mtime, ino } = await Deno.lstat(file);
    found[name] = isSymlink
      ? await Deno.readLink(file)
      : isDirectory
      ? await contents(file)
      : [ino, mtime?.getTime(), await Deno.readFile(file)];
  }
  return found;
}

async function write(folder: string, files: Readonly<Record<string, string>>) {
  for (const [file, text] of Object.entries(files)) {
    const path = `${folder}/${file}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(path, text);
  }
}

/** A model of another program, as a folder. */
async function writeModel(path: string) {
  const folder = await tinyModel(new Random(3));
  await Deno.mkdir(path, { recursive: true });
  for (const source of [folder, withTokenizer(await openModel(folder))]) {
    for (const file of await source.list()) {
      await Deno.writeFile(`${path}/${file}`, await source.readBytes(file, 1e9));
    }
  }
}

/** The folder of a run, as far as it says what it is. */
const RUN = {
  "run/settings.json": '{"kind":"lopper-run-settings","schema":1}',
  "run/journal.jsonl": "",
  "run/run.json": '{"kind":"lopper-run","files":["config.json","lopper_plan.json"]}',
  "run/config.json": "{}",
  "run/lopper_plan.json": "{}",
  "run/report.html": "<html>",
} as const;

/** Each makes something at `OUT`, which no run may replace, and says why. */
const FORMS: Readonly<
  Record<string, { make: (folder: string) => Promise<void>; out: string; message: RegExp }>
> = {
  "a model": {
    make: (folder) => writeModel(`${folder}/model`),
    out: "model",
    message: /holds no run of Lopper, but config\.json and \d more/,
  },
  "a folder of data": {
    make: (folder) => write(folder, { "data/a.jsonl": "{}\n", "data/deep/b.txt": "b" }),
    out: "data",
    message: /holds no run of Lopper, but a\.jsonl and 1 more/,
  },
  "a git checkout": {
    make: (folder) => write(folder, { "git/.git/HEAD": "ref", "git/settings.json": "{}" }),
    out: "git",
    message: /holds no run of Lopper, but \.git and 1 more/,
  },
  "a run in a git checkout of its own": {
    make: (folder) => write(folder, { ...RUN, "run/.git/HEAD": "ref" }),
    out: "run",
    message: /run\/\.git is not a file of the run in that folder/,
  },
  "a file": {
    make: (folder) => write(folder, { "letter.txt": "Dear Ishmael" }),
    out: "letter.txt",
    message: /letter\.txt is a file; --out needs a folder/,
  },
  "a link to a file": {
    make: async (folder) => {
      await write(folder, { "letter.txt": "Dear Ishmael" });
      await Deno.symlink(`${folder}/letter.txt`, `${folder}/link`);
    },
    out: "link",
    message: /link is a file; --out needs a folder/,
  },
  "a link to a model": {
    make: async (folder) => {
      await writeModel(`${folder}/model`);
      await Deno.symlink("model", `${folder}/link`);
    },
    out: "link",
    message: /link holds no run of Lopper/,
  },
  "a link to nothing": {
    make: (folder) => Deno.symlink("nothing", `${folder}/link`),
    out: "link",
    message: /link is a link to nothing; --out needs a folder/,
  },
  "the settings of another program": {
    make: (folder) => write(folder, { "app/settings.json": '{"kind":"app"}' }),
    out: "app",
    message: /app holds no run of Lopper, but settings\.json, and/,
  },
  "a run with a user's notes": {
    make: (folder) => write(folder, { ...RUN, "run/notes.txt": "good" }),
    out: "run",
    message: /run\/notes\.txt is not a file of the run in that folder.*move it elsewhere/,
  },
  "a run whose record was changed to list a user's notes": {
    make: async (folder) => {
      const record = await seal({ kind: "lopper-run", files: ["config.json"] });
      const files = [...record.files, "notes.txt"];
      const changed = { ...RUN, "run/run.json": JSON.stringify({ ...record, files }) };
      await write(folder, { ...changed, "run/notes.txt": "good" });
    },
    out: "run",
    message: /run\/notes\.txt is not a file of the run in that folder/,
  },
  "a run with another program's partial file": {
    make: (folder) => write(folder, { ...RUN, "run/.film.mkv.partial": "film" }),
    out: "run",
    message: /run\/\.film\.mkv\.partial is not a file of the run/,
  },
  "a run with a companion that it did not write": {
    make: (folder) => write(folder, { ...RUN, "run/tokenizer.json": "{}" }),
    out: "run",
    message: /run\/tokenizer\.json is not a file of the run/,
  },
  "a run whose weights are elsewhere, linked": {
    make: async (folder) => {
      await write(folder, { ...RUN, "elsewhere/config.json": "{}" });
      await Deno.remove(`${folder}/run/config.json`);
      await Deno.symlink("../elsewhere/config.json", `${folder}/run/config.json`);
    },
    out: "run",
    message: /run\/config\.json is not a file of the run/,
  },
  "a run with a model in it, by a record that names files outside": {
    make: async (folder) => {
      const record = '{"kind":"lopper-run","files":["../x","m/../../x","/etc/passwd"]}';
      await write(folder, { "run/run.json": record, x: "x" });
      await writeModel(`${folder}/run/m`);
    },
    out: "run",
    message: /run\/m is not a file of the run/,
  },
  "an export": {
    make: (folder) =>
      write(folder, {
        "x/export.json": '{"kind":"lopper-export","files":["config.json"]}',
        "x/config.json": "{}",
      }),
    out: "x",
    message: /x holds no run of Lopper/,
  },
};

for (const [name, { make, out, message }] of Object.entries(FORMS)) {
  test(`prune leaves ${name} as it is`, async (folder) => {
    await make(folder);
    const before = await contents(folder);
    // what would be lost does not depend on how it is called
    for (const spelling of [out, `${out}/`, `none/../${out}`]) {
      const args = ["--out", `${folder}/${spelling}`, "--overwrite"];
      await refused(["prune", ...args], message);
      await refused(["prune", ...args, "--dry-run"], message);
    }
    await refused(["prune", "--out", `${folder}/${out}`], /is not empty|holds an? \w+ run|needs a/);
    assert.deepEqual(await contents(folder), before);
  });
}

test("neither the root nor the home folder is a run", async () => {
  for (const path of ["/", homedir()]) {
    await assert.rejects(RunFolder.open(path, { overwrite: true }), UsageError);
  }
});

test("nothing is written into, over or around its own model", async (folder) => {
  await writeModel(`${folder}/model`);
  await Deno.symlink("model", `${folder}/link`);
  await write(folder, RUN);
  await writeModel(`${folder}/run`);
  await write(folder, {
    "run/run.json": JSON.stringify({
      kind: "lopper-run",
      files: [...Deno.readDirSync(`${folder}/run`)].map(({ name }) => name),
    }),
    "x/export.json": '{"kind":"lopper-export","files":["model.gguf"]}',
  });
  await Deno.writeFile(`${folder}/x/model.gguf`, await tinyGguf());
  // a record that would give the model away
  await writeModel(`${folder}/around/m`);
  const inner = [...Deno.readDirSync(`${folder}/around/m`)].map(({ name }) => `m/${name}`);
  await write(folder, {
    "around/run.json": JSON.stringify({ kind: "lopper-run", files: inner }),
  });
  const before = await contents(folder);
  const own = /is the model's own folder; the result needs a folder apart from it/;
  const within = /lies in the model's own folder/;
  const at = (path: string) => `${folder}/${path}`;
  for (
    const [model, out, message] of [
      ["run", "run", own],
      ["run", "run/../run/", own],
      ["model", "model/pruned", within],
      ["link", "model/pruned", within],
      ["model", "link/deep/er", within],
      ["link", "link/pruned", within],
      ["around/m", "around", /contains the model's own folder/],
    ] as const
  ) {
    await refused(["prune", at(model), "--out", at(out), "--overwrite"], message);
    const export_ = ["--to", "safetensors", "--out", at(out), "--overwrite"];
    await refused(["export", at(model), ...export_], message);
  }
  // an export would replace its own source
  await refused(
    ["export", at("x/model.gguf"), "--to", "safetensors", "--out", at("x"), "--overwrite"],
    /x contains the model's own file/,
  );
  await Deno.rename(at("x"), at("p-gguf"));
  await refused(
    ["prune", at("p-gguf/model.gguf"), "--out", at("p"), "--export", "gguf", "--overwrite"],
    /p-gguf contains the model's own file/,
  );
  await Deno.rename(at("p-gguf"), at("x"));
  assert.deepEqual(await contents(folder), before);
});

test("export, evaluate and report replace what Lopper wrote and nothing else", async (folder) => {
  const at = (path: string) => `${folder}/${path}`;
  await write(folder, {
    ...RUN,
    "x/export.json": '{"kind":"lopper-export","files":["onnx/model.onnx"]}',
    "x/onnx/model.onnx": "",
    "x/onnx/notes.txt": "",
    "s1/evaluation.json": '{"kind":"of somebody else"}',
    "s2/scores.jsonl": "no line end",
    "s3/scores.jsonl": "a line\n",
    "page.html": "<html>",
    "text.txt": "The ship lay at anchor.",
  });
  const before = await contents(folder);
  for (const out of ["run", "s1", "page.html"]) {
    await refused(
      ["export", "demo", "--to", "onnx", "--out", at(out), "--overwrite"],
      /holds no export\.json|is a file/,
    );
  }
  await refused(
    ["export", "demo", "--to", "onnx", "--out", at("x"), "--overwrite"],
    /x\/onnx\/notes\.txt is not a file of the export in that folder/,
  );
  const measured = ["demo", "--perplexity", at("text.txt")];
  for (
    const [out, message, kind] of [
      ["s1", /s1\/evaluation\.json is no result of Lopper's/, UsageError],
      ["s2", /s2\/scores\.jsonl: this is no score of an evaluation/, ResumeError],
      ["s3", /s3\/scores\.jsonl, line 1: not a score of an evaluation/, ResumeError],
      ["page.html", /page\.html is a file; --out needs a folder/, UsageError],
    ] as const
  ) {
    await refused(["evaluate", ...measured, "--out", at(out)], message, kind);
  }
  for (const out of ["page.html", "run/config.json"]) {
    await refused(
      ["report", at("run"), "--out", at(out), "--overwrite"],
      /is no page of Lopper's, so nothing replaces it/,
    );
  }
  await refused(["report", at("run")], /run\/report\.html is no page of Lopper's/);
  assert.deepEqual(await contents(folder), before);
});

test("a run or an unfinished run is replaceable, with what a kill left in it", async (folder) => {
  await write(folder, {
    ...RUN,
    "begun/settings.json": RUN["run/settings.json"],
    "begun/journal.jsonl": "",
    "begun/.model.safetensors.partial": "",
    // of an earlier version: its record lists no files
    "earlier/run.json": '{"kind":"lopper-run"}',
    "earlier/settings.json": RUN["run/settings.json"],
    "earlier/model-00001-of-00002.safetensors": "",
    "earlier/tokenizer.model": "",
    "nothing/.run.json.partial": "",
  });
  await Deno.symlink("run", `${folder}/link`);
  for (const out of ["run", "link", "begun", "earlier", "nothing", "none"]) {
    await using _ = await RunFolder.open(`${folder}/${out}`, { overwrite: true });
  }
});

test("--resume goes on with runs of Lopper only, and takes nothing of another's for theirs", async (folder) => {
  await writeModel(`${folder}/model`);
  await write(folder, {
    "data/a.jsonl": "{}\n",
    "journal/journal.jsonl": "{}\n",
    "app/settings.json": '{"kind":"app"}',
    "begun/settings.json": RUN["run/settings.json"],
    "begun/journal.jsonl": "",
    "begun/config.json": "{}",
    "letter.txt": "Dear Ishmael",
  });
  const before = await contents(folder);
  for (
    const [out, message, kind] of [
      ["model", /model holds no run of Lopper; there is nothing to resume/, ResumeError],
      ["data", /data holds no run of Lopper/, ResumeError],
      ["journal", /has a journal and no settings\.json/, ResumeError],
      ["app", /settings\.json is not the settings of a run of Lopper/, ResumeError],
      ["begun", /begun\/config\.json is not of the unfinished run in that folder/, ResumeError],
      ["letter.txt", /letter\.txt is a file; --out needs a folder/, UsageError],
    ] as const
  ) {
    await refused(["prune", "--out", `${folder}/${out}`, "--resume"], message, kind);
  }
  assert.deepEqual(await contents(folder), before);
});
