import { DEMO_MODEL } from "@lopper/demo-model";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inTemporaryFolder } from "./support/cli.ts";
import { doneHere, failsHere } from "./support/in_process.ts";

const MODEL = fileURLToPath(DEMO_MODEL);
const TEXT = "It was a dark and stormy night; the rain fell in torrents.\n\n".repeat(20);

/** A copy of the embedded model's folder, with `change` made to its files. */
async function modelFolder(path: string, change: (folder: string) => Promise<void>) {
  await Deno.mkdir(path);
  for (const { name } of Deno.readDirSync(MODEL)) {
    await Deno.symlink(`${MODEL}/${name}`, `${path}/${name}`);
  }
  await change(path);
}

async function makePipe(path: string) {
  await Deno.remove(path).catch(() => {});
  assert.ok((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
}

Deno.test({
  name:
    "inputs: whatever a command reads, a pipe or a device in its place is refused, not waited for",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inTemporaryFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/x.txt`, TEXT);
      for (const name of ["pipe.txt", "pipe.jsonl", "pipe.gguf", "plan.json"]) {
        await makePipe(`${folder}/${name}`);
      }
      for (const name of ["config.json", "model.safetensors", "tokenizer.json"]) {
        await modelFolder(`${folder}/${name}-pipe`, (path) => makePipe(`${path}/${name}`));
        const message = new RegExp(`${name}-pipe/${name}: this is a pipe; Lopper reads regular`);
        await failsHere(["evaluate", `${name}-pipe`, "--perplexity", "x.txt"], 1, message, folder);
      }
      await Deno.mkdir(`${folder}/run`);
      await makePipe(`${folder}/run/settings.json`);
      await Deno.symlink("/dev/zero", `${folder}/run/run.json`);
      await Deno.mkdir(`${folder}/data/piqa`, { recursive: true });
      await makePipe(`${folder}/data/piqa/valid.jsonl`);
      const pipe = /: this is a pipe; Lopper reads regular files/;
      const commands: readonly (readonly [readonly string[], RegExp])[] = [
        [["inspect", "pipe.gguf"], pipe],
        [["evaluate", "demo", "--perplexity", "pipe.txt"], pipe],
        [["evaluate", "demo", "--tasks", "pipe.jsonl"], pipe],
        [["evaluate", "demo", "--tasks", "piqa", "--data", "data"], pipe],
        [["prune", "--calibration", "pipe.jsonl", "--out", "out"], pipe],
        [["prune", "--held-out", "pipe.txt", "--out", "out"], pipe],
        [["prune", "--plan", "plan.json", "--out", "out"], pipe],
        [["prune", "--resume", "--out", "run"], pipe],
        [["report", "run"], /run\/run\.json: this is a device; Lopper reads regular files/],
      ];
      for (const [args, message] of commands) await failsHere(args, 1, message, folder);
      await assert.rejects(Deno.stat(`${folder}/out`), Deno.errors.NotFound, "nothing is begun");
    }),
});

Deno.test("inputs: byte order marks and line ends of Windows change no result", () =>
  inTemporaryFolder(async (folder) => {
    const marked = (text: string) => "\ufeff" + text.replaceAll("\n", "\r\n");
    await modelFolder(`${folder}/marked`, async (path) => {
      for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json"]) {
        const text = await Deno.readTextFile(`${path}/${name}`);
        await Deno.remove(`${path}/${name}`);
        await Deno.writeTextFile(`${path}/${name}`, marked(text));
      }
    });
    const rows = ["ran past", "sat by"].map((answer, i) =>
      JSON.stringify({ context: "the mill", choices: [answer, "and"], answer: i }) + "\n"
    ).join("");
    const texts = TEXT.trim().split("\n\n").map((text) => JSON.stringify({ text }) + "\n").join("");
    for (const [name, form] of [["plain", (text: string) => text], ["marked", marked]] as const) {
      await Deno.mkdir(`${folder}/${name}-data`);
      await Deno.writeTextFile(`${folder}/${name}-data/q.jsonl`, form(rows));
      await Deno.writeTextFile(`${folder}/${name}-data/x.jsonl`, form(texts));
    }
    const measured = async (model: string, data: string) => {
      const args = ["evaluate", model, "--tasks", "q.jsonl", "--perplexity", "x.jsonl"];
      const out = await doneHere([...args, "--seq-len", "64", "--json"], `${folder}/${data}-data`);
      const { models } = JSON.parse(out.trimEnd().split("\n").at(-1)!);
      const [{ texts, tasks }] = models;
      return { texts, metrics: tasks[0].metrics };
    };
    const plain = await measured("demo", "plain");
    assert.deepEqual(await measured(`${folder}/marked`, "marked"), plain);
  }));
