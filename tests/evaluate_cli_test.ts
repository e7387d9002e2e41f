import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { done, inTemporaryFolder } from "./support/cli.ts";
import { doneHere, failsHere, runHere } from "./support/in_process.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`cli evaluate: ${name}`, () => inTemporaryFolder(body));

const CASES = JSON.parse(
  Deno.readTextFileSync(new URL("fixtures/evaluation/cases.json", import.meta.url)),
);
const PARQUET = fileURLToPath(new URL("fixtures/parquet/snappy.parquet", import.meta.url));
const TEXT =
  "It was a dark and stormy night; the rain fell in torrents, except when it did not.\n\n";

const lines = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row) + "\n").join("");

/** The invented questions of some tasks, laid out as people keep data sets. */
async function writeData(folder: string) {
  const write = async (path: string, text: string) => {
    await Deno.mkdir(`${folder}/${path.replace(/\/[^/]*$/, "")}`, { recursive: true });
    await Deno.writeTextFile(`${folder}/${path}`, text);
  };
  await write("piqa/valid.jsonl", lines(CASES.tasks.piqa.rows));
  await write("arc/ARC-Easy-Test.jsonl", lines(CASES.tasks.arc_easy.rows));
  await write("lambada_openai/data/lambada_test.jsonl", lines(CASES.tasks.lambada_openai.rows));
  await write("wikitext2/wiki.test.raw", (" " + TEXT.trim() + " \n").repeat(20));
}

/** The last line of --json. */
async function result(args: readonly string[], folder: string) {
  const stdout = await doneHere(["evaluate", ...args, "--json"], folder);
  const last = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
  assert.equal(last.event, "result");
  return last;
}

test("tasks and texts of two models, as a table and as JSON", async (folder) => {
  await writeData(`${folder}/data`);
  await Deno.writeTextFile(`${folder}/rain.txt`, TEXT.repeat(10));
  const args = ["demo", "demo", "--tasks", "wikitext2,piqa,arc_easy,lambada_openai"];
  args.push("--data", "data", "--perplexity", "rain.txt", "--perplexity", PARQUET);
  args.push("--seq-len", "64");
  const table = await done(["evaluate", ...args], folder);
  for (const row of ["parameters", "wikitext2, perplexity", "rain.txt, bits per byte"]) {
    assert.match(table, new RegExp(`^  ${row} `, "m"));
  }
  assert.match(table, /^ {2}piqa, acc_norm +\d+\.\d\d ± *\d+\.\d\d +\d+\.\d\d ± *\d+\.\d\d$/m);
  assert.match(table, /windows of 64 tokens/);
  assert.doesNotMatch(table, /a sample/);

  const { models, kind } = await result(args, folder);
  assert.equal(kind, "lopper-evaluation");
  assert.equal(models.length, 2);
  assert.deepEqual(models[0].texts, models[1].texts);
  const [piqa] = models[0].tasks;
  assert.equal(piqa.task, "piqa");
  assert.deepEqual([piqa.questions, piqa.available, piqa.requests], [4, 4, 8]);
  assert.deepEqual(piqa.metrics.acc.value, CASES.tasks.piqa.metrics.acc.value);
  assert.ok(models[0].texts.every((t: { perplexity: number }) => t.perplexity > 1));
});

test("a stopped evaluation goes on where it was, and a torn line is scored again", async (folder) => {
  await writeData(`${folder}/data`);
  const args = ["demo", "--tasks", "wikitext2,piqa", "--data", "data", "--seq-len", "64"];
  args.push("--out", "scores");
  const first = await result(args, folder);
  const log = `${folder}/scores/scores.jsonl`;
  const whole = await Deno.readTextFile(log);
  const written = whole.trimEnd().split("\n");
  assert.equal(written.length, 4 + first.models[0].texts[0].windows);
  const record = `${folder}/scores/evaluation.json`;
  assert.deepEqual(JSON.parse(await Deno.readTextFile(record)).models, first.models);

  // what a kill leaves: some lines, and a part of one
  await Deno.writeTextFile(
    log,
    written.slice(0, -2).join("\n") + "\n" + written.at(-2)!.slice(0, 9),
  );
  const again = await result(args, folder);
  const figures = ({ models }: { models: { texts: unknown; tasks: { metrics: unknown }[] }[] }) =>
    models.map(({ texts, tasks }) => [texts, tasks.map(({ metrics }) => metrics)]);
  assert.deepEqual(figures(again), figures(first));
  assert.deepEqual((await Deno.readTextFile(log)).split("\n").sort(), whole.split("\n").sort());

  // nothing is left to score, so nothing is appended; other questions are
  const third = await result([...args, "--limit", "2"], folder);
  assert.equal(third.models[0].tasks[0].blockTokens, 0);
  assert.equal((await Deno.readTextFile(log)).length, whole.length);
  const more = [...args, "--no-bos", "--tasks", "piqa,arc_easy"];
  assert.equal((await result(more, folder)).models[0].tasks.length, 2);
  assert.equal((await Deno.readTextFile(log)).trimEnd().split("\n").length, written.length + 3);

  await Deno.writeTextFile(log, "something else\n");
  await failsHere(["evaluate", ...args], 1, /scores\.jsonl, line 1: not a score/, folder);
});

test("a sample is called one", async (folder) => {
  await writeData(`${folder}/data`);
  const args = ["demo", "--tasks", "piqa", "--data", "data", "--limit", "3"];
  assert.match(await doneHere(["evaluate", ...args], folder), /a sample, .*: piqa 3 of 4$/m);
});

test("questions of one's own", async (folder) => {
  const questions = [
    { context: "The captain looked at the", choices: ["sea", "xylophone factory"], answer: 0 },
    { context: "He sat down by the", choices: ["quark", "fire"], answer: 1 },
  ];
  await Deno.writeTextFile(`${folder}/own.jsonl`, lines(questions));
  const { models } = await result(["demo", "--tasks", "own.jsonl"], folder);
  assert.equal(models[0].tasks[0].task, "own");
  assert.deepEqual(models[0].tasks[0].metrics.acc, { value: 1, stderr: 0 });
  await Deno.writeTextFile(`${folder}/own.jsonl`, lines([...questions, { context: "a" }]));
  const own = ["evaluate", "demo", "--tasks", "own.jsonl"];
  await failsHere(own, 1, /own\.jsonl, row 3: field choices/, folder);
});

test("a question that the model has no room for loses its beginning, and that is said", async (folder) => {
  const long = { context: "sea ".repeat(1100), choices: ["and sky", "and land"], answer: 0 };
  const short = { context: "The captain looked at the", choices: ["sea", "sky"], answer: 0 };
  await Deno.writeTextFile(`${folder}/own.jsonl`, lines([short, long]));
  const args = ["evaluate", "demo", "--tasks", "own.jsonl", "--out", "scores"];
  const { code, stderr } = await runHere(args, folder);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^warning: .*own: 1 of 2 questions have more than the 1024 tokens/);
  const { models } = JSON.parse(await Deno.readTextFile(`${folder}/scores/evaluation.json`));
  assert.equal(models[0].tasks[0].shortened, 1);
});

test("mistakes are named before any work", async (folder) => {
  const at = (name: string) => `${folder}/${name}`;
  const refused = (args: readonly string[], code: 1 | 2, message: RegExp) =>
    failsHere(["evaluate", ...args], code, message);
  await writeData(at("data"));
  await refused(["demo"], 2, /nothing to measure/);
  await refused(["demo", "--tasks", "piqqa"], 2, /--tasks has "piqqa".* piqa/);
  await refused(["demo", "--tasks", at("own.jsonl")], 1, /own\.jsonl: there is no such file/);
  await refused(["demo", "--perplexity", at("x.md")], 1, /x\.md: there is no such file/);
  await Deno.writeTextFile(at("x.md"), TEXT);
  await refused(["demo", "--perplexity", at("x.md")], 1, /needs to be a \.txt/);
  await Deno.writeTextFile(at("x.txt"), "Rain");
  await refused(
    ["demo", "--perplexity", at("x.txt")],
    1,
    /x\.txt has \d+ tokens and a window 1024/,
  );
  const long = ["demo", "--perplexity", at("x.txt"), "--seq-len", "4096"];
  await refused(long, 2, /takes 1024 tokens at most/);
  const missing = ["demo", "--tasks", "boolq", "--data", at("data")];
  await refused(missing, 1, /data set of boolq \(aps\/super_glue on the hub: boolq, validation\)/);
  const second = ["demo", at("nowhere"), "--tasks", "piqa", "--data", at("data")];
  await refused(second, 1, /nowhere.* no such folder/);
  const tight = ["demo", "--tasks", "piqa", "--data", at("data"), "--memory", "100MB"];
  await refused(tight, 1, /needs .* of memory at least/);
});
