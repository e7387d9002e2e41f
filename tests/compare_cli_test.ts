import assert from "node:assert/strict";
import { done, inTemporaryFolder, QUICK } from "./support/cli.ts";
import { doneHere, failsHere } from "./support/in_process.ts";
import { writeTinyRun } from "./support/tiny_run.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`cli compare: ${name}`, () => inTemporaryFolder(body));

const QUESTIONS = [
  { context: "The captain looked at the", choices: ["sea", "xylophone factory"], answer: 0 },
  { context: "He sat down by the", choices: ["quark", "fire"], answer: 1 },
  { context: "She opened the", choices: ["door", "seven"], answer: 0 },
];
const HELD_OUT = new URL("../packages/demo-model/data/held_out.txt", import.meta.url);

/** The last line of --json. @param run in this process, or in one of its own. */
async function result(args: readonly string[], folder: string, run: typeof done) {
  const stdout = await run(["compare", ...args, "--json"], folder);
  const last = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
  assert.equal(last.event, "result");
  return last;
}

test("a pruned model beside the dense one, in figures and as a table", async (folder) => {
  const prune = ["prune", "demo", ...QUICK, "--preset", "blockpruner", "--ratio", "5"];
  await doneHere([...prune, "--out", "pruned"], folder);
  await Deno.writeTextFile(
    `${folder}/own.jsonl`,
    QUESTIONS.map((row) => JSON.stringify(row)).join("\n"),
  );
  const text = (await Deno.readTextFile(HELD_OUT)).slice(0, 3000);
  await Deno.writeTextFile(`${folder}/sea.txt`, text);
  const args = ["demo", "pruned", "--tasks", "own.jsonl", "--perplexity", "sea.txt"];
  args.push("--seq-len", "64", "--out", "scores", "--threads", "1");
  const { kind, promptTokens, models: [dense, other] } = await result(args, folder, done);

  assert.equal(kind, "lopper-comparison");
  assert.deepEqual([dense.model, other.model], ["lopper-demo", "pruned"]);
  assert.equal(dense.againstFirst, null);
  for (const figure of ["parameters", "bytes", "macsPerToken"]) {
    assert.ok(other[figure] < dense[figure] && other[figure] > 0.8 * dense[figure], figure);
  }
  assert.equal(promptTokens, 512);
  for (const { speed } of [dense, other]) {
    assert.ok(speed.prefillTokensPerSecond > speed.decodeTokensPerSecond);
    assert.ok(speed.decodeTokensPerSecond > 1);
    // More than the weights in float32, less than the machine has.
    assert.ok(speed.peakResidentBytes > 2 * dense.bytes);
    assert.ok(speed.peakResidentBytes < Deno.systemMemoryInfo().total);
  }
  const { texts: [sea], tasks: [task], predictions } = other.againstFirst;
  const ratio = other.texts[0].perplexity / dense.texts[0].perplexity;
  assert.ok(Math.abs(sea.perplexityRatio.value - ratio) < 1e-6 * ratio);
  assert.ok(sea.perplexityRatio.low < ratio && ratio < sea.perplexityRatio.high);
  assert.deepEqual(Object.keys(task.differences), ["acc", "acc_norm"]);
  const difference = other.tasks[0].metrics.acc.value - dense.tasks[0].metrics.acc.value;
  assert.ok(Math.abs(task.differences.acc.value - difference) < 1e-12);
  assert.equal(predictions.text, "sea.txt");
  assert.equal(predictions.positions, 4 * 64);
  assert.ok(predictions.klDivergence > 1e-3 && predictions.klDivergence < 5);
  assert.ok(predictions.sameTop > 0.3 && predictions.sameTop < 1);
  const record = JSON.parse(await Deno.readTextFile(`${folder}/scores/comparison.json`));
  assert.deepEqual(record.models, [dense, other]);

  // what is in --out is not scored again
  const log = await Deno.readTextFile(`${folder}/scores/scores.jsonl`);
  const table = await doneHere(["compare", ...args, "--no-speed"], folder);
  assert.equal(await Deno.readTextFile(`${folder}/scores/scores.jsonl`), log);
  for (
    const row of [
      /^ +lopper-demo +pruned$/m,
      /^ {2}parameters +5\.51 M +\d\.\d\d M\n +−\d+\.\d %$/m,
      /^ {2}sea\.txt, perplexity +\d.*\n +×\d+\.\d{3} \(\d.* to \d.*\)$/m,
      /^ {2}own, acc +\d.* ± .*\n +[−+]\d+\.\d\d \(.* to .*\)$/m,
      /^ {2}KL divergence, nats a token +\d\.\d{4}$/m,
      /^ {2}same likeliest token +\d+\.\d %$/m,
      /after 256 tokens of sea\.txt/,
    ]
  ) assert.match(table, row);
  assert.doesNotMatch(table, /peak memory/);
});

test("a model differs from itself in nothing, on the embedded text", async (folder) => {
  const [model] = await writeTinyRun(folder);
  const { models } = await result([model, model, "--no-speed"], folder, doneHere);
  const { texts, predictions } = models[1].againstFirst;
  assert.deepEqual(texts[0], { text: "Moby Dick", perplexityRatio: { value: 1, low: 1, high: 1 } });
  assert.deepEqual([predictions.klDivergence, predictions.sameTop], [0, 1]);
  assert.equal(models[1].speed, null);
});

test("mistakes are named before any work", async (folder) => {
  const refused = (args: readonly string[], code: 1 | 2, message: RegExp) =>
    failsHere(["compare", ...args], code, message, folder);
  await refused(["demo"], 2, /two models at least/);
  await refused(["demo", "nowhere"], 1, /nowhere.* no such folder/);
  await refused(["demo", "demo", "--tasks", "piqqa"], 2, /--tasks has "piqqa"/);
  await refused(["demo", "demo", "--memory", "100MB"], 1, /needs .* of memory at least/);
});
