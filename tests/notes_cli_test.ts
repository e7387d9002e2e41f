/**
 * What a model's folder holds and Lopper passes over is told by every command that opens it, once.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { compareCommand } from "../apps/cli/compare/compare.ts";
import { evaluateCommand } from "../apps/cli/evaluate/evaluate.ts";
import { exportCommand } from "../apps/cli/export/export.ts";
import { inspectCommand } from "../apps/cli/inspect/inspect.ts";
import { pruneCommand } from "../apps/cli/prune/prune.ts";
import { inTemporaryFolder, PUBLISHED, runLopper } from "./support/cli.ts";

const FIXTURE = fileURLToPath(new URL("fixtures/onnx/llama-untied", import.meta.url));
const NOTE = /model: modeling_x\.py: left out, since Lopper runs no code/g;

Deno.test("notes: every command that opens a model tells once what of it is passed over", () =>
  inTemporaryFolder(async (folder) => {
    const model = `${folder}/model`;
    await Deno.mkdir(model);
    for (const { name } of Deno.readDirSync(FIXTURE)) {
      await Deno.copyFile(`${FIXTURE}/${name}`, `${model}/${name}`);
    }
    await Deno.writeTextFile(`${model}/modeling_x.py`, "raise SystemExit");
    const text = `${folder}/text.txt`;
    await Deno.writeTextFile(text, "the old man and the sea ".repeat(20));

    const measure = ["--perplexity", text, "--seq-len", "16", "--threads", "1"];
    const exporting = [model, "--to", "safetensors", "--out", `${folder}/e`, "--threads", "1"];
    const pruning = [model, "--ratio", "10", "--out", `${folder}/p`, ...PUBLISHED];
    const commands: [() => ReturnType<typeof pruneCommand>, string[], string[], number][] = [
      [exportCommand, exporting, ["--overwrite"], 1],
      [evaluateCommand, [model, ...measure], [], 1],
      [compareCommand, [model, model, ...measure, "--no-speed"], [], 2],
      [pruneCommand, [...pruning, "--seq-len", "32", "--threads", "1"], ["--overwrite"], 1],
    ];
    for (const [command, args, again, times] of commands) {
      const run = (args: string[]) => inProcess(() => command().parseAsync(args, { from: "user" }));
      const { errors } = await run(args);
      assert.equal(errors.match(NOTE)?.length, times, `${args.join(" ")}: ${errors}`);
      const { printed } = await run([...args, ...again, "--json"]);
      const notes = printed.split("\n").filter((line) => line.includes('"event":"note"'));
      assert.equal(notes.join("\n").match(NOTE)?.length, times, printed);
    }
    const { errors, printed } = await inProcess(() =>
      inspectCommand().parseAsync([model], { from: "user" })
    );
    assert.equal(errors, "");
    assert.match(printed, /^ {2}modeling_x\.py: left out/m);
    const facts = await inProcess(() =>
      inspectCommand().parseAsync([model, "--json"], { from: "user" })
    );
    assert.deepEqual(JSON.parse(facts.printed).notes.length, 1);

    const { stderr, stdout } = await runLopper(["generate", model, "the", "--max-tokens", "2"]);
    assert.equal(stderr.match(NOTE)?.length, 1, stderr);
    assert.doesNotMatch(stdout, /left out/);
  }));

/** What a command prints to both outputs while it runs in this process. */
async function inProcess(run: () => Promise<unknown>) {
  const { log, error } = console;
  const lines = { printed: [] as string[], errors: [] as string[] };
  console.log = (...parts) => lines.printed.push(parts.join(" "));
  console.error = (...parts) => lines.errors.push(parts.join(" "));
  try {
    await run();
  } finally {
    Object.assign(console, { log, error });
  }
  return { printed: lines.printed.join("\n"), errors: lines.errors.join("\n") };
}
