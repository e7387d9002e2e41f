import assert from "node:assert/strict";
import { seal } from "@lopper/core";
import { dirname } from "node:path";
import { inTemporaryFolder, runLopper } from "./support/cli.ts";
import { runHere } from "./support/in_process.ts";
import { checkSameResult } from "./support/kill.ts";
import { writeTinyRun } from "./support/tiny_run.ts";

Deno.test("--calibration self: the model's own text, the same for a seed, kept and made anew", () =>
  inTemporaryFolder(async (folder) => {
    const env = { LOPPER_CACHE: `${folder}/cache` };
    const [model, , , ...tiny] = await writeTinyRun(folder);
    // Own texts begin behind it.
    const tokens = JSON.stringify({ eos_token: "!" });
    await Deno.writeTextFile(`${model}/tokenizer_config.json`, tokens);
    const by = (run: typeof runLopper) => async (...args: string[]) => {
      const { code, stderr } = await run(["prune", ...args], folder, env);
      assert.equal(code, 0, stderr);
    };
    const [prune, pruneAlone] = [by(runHere), by(runLopper)];
    const settings = [
      ...[model, ...tiny, "--width-samples", "2", "--preset", "blockpruner", "--ratio", "5"],
    ];
    // With no more permissions than its task has.
    await pruneAlone("--out", "reference", "--calibration", "self", ...settings);
    const record = JSON.parse(await Deno.readTextFile(`${folder}/reference/run.json`));
    assert.deepEqual(record.flags.calibration, [{ path: "self", weight: 1 }]);
    const page = await Deno.readTextFile(`${folder}/reference/report.html`);
    assert.match(page, /--calibration self/);

    const files = await Array.fromAsync(
      (async function* find(path: string): AsyncGenerator<string> {
        for await (const { name, isDirectory } of Deno.readDir(path)) {
          if (isDirectory) yield* find(`${path}/${name}`);
          else yield `${path}/${name}`;
        }
      })(`${folder}/cache`),
    );
    const [file] = files;
    assert.equal(files.length, 1);
    const kept = await Deno.readTextFile(file);
    const { kind, texts } = JSON.parse(kept);
    assert.ok(texts.length >= 4 && new Set(texts).size > 3, kept);
    assert.ok(texts.every((text: string) => text.length > 8), kept);

    // cut off before its first step, without what the cache had
    const journal = await Deno.readTextFile(`${folder}/reference/journal.jsonl`);
    await Deno.mkdir(`${folder}/resumed`);
    await Deno.copyFile(`${folder}/reference/settings.json`, `${folder}/resumed/settings.json`);
    await Deno.writeTextFile(
      `${folder}/resumed/journal.jsonl`,
      journal.split("\n").slice(0, 3).join("\n") + "\n",
    );
    // a torn file counts as none, and so does one that was changed
    await Deno.writeTextFile(file, kept.slice(0, -20));
    await prune("--out", "resumed", "--resume");
    assert.equal(await Deno.readTextFile(file), kept);
    await Deno.writeTextFile(file, kept.replace(/"texts": \[\s*"/, "$&the sea "));
    await prune("--calibration", "self", "--dry-run", ...settings);
    assert.equal(await Deno.readTextFile(file), kept);
    await checkSameResult(folder, "resumed");

    // whoever learns from ten further samples for each has them, and a second text shares them
    const counts = () =>
      Array.from(Deno.readDirSync(dirname(file)), ({ name }) => /(\d+)x/.exec(name)![1]);
    const learning = [...settings, "--recover", "auto", "--dry-run"];
    await prune("--calibration", "self", ...learning);
    assert.deepEqual(counts().sort(), ["4", "48"]);
    await Deno.writeTextFile(`${folder}/more.txt`, "The ship had three masts.\n".repeat(200));
    await prune("--calibration", "self", "--calibration", "more.txt", ...learning);
    assert.deepEqual(counts().sort(), ["24", "4", "48"]);

    // what is kept is what is used
    const others = texts.map((text: string) => `the sea ${text}`);
    await Deno.writeTextFile(file, JSON.stringify(await seal({ kind, texts: others })));
    await prune("--out", "changed", "--calibration", "self", ...settings);
    const changed = JSON.parse(await Deno.readTextFile(`${folder}/changed/run.json`));
    assert.notEqual(changed.calibrationDigest.block, record.calibrationDigest.block);
  }));
