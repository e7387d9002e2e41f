import { HELD_OUT_TEXT } from "@lopper/demo-model";
import assert from "node:assert/strict";
import { inTemporaryFolder } from "./support/cli.ts";
import { doneHere, failsHere } from "./support/in_process.ts";

function test(name: string, fn: (folder: string) => Promise<void>) {
  Deno.test({
    name: `rounding: ${name}`,
    fn: () => inTemporaryFolder(fn),
    // The engine keeps a thread pool for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

test("an export by GPTQ says what it learnt from, and is as large as one to the nearest", async (folder) => {
  const text = `${folder}/t.txt`;
  await Deno.writeTextFile(text, (await Deno.readTextFile(HELD_OUT_TEXT)).slice(0, 2000));
  const to = (out: string, ...more: readonly string[]) => [
    ...["export", "demo", "--to", "gguf", "--quantize", "q4_0", "--verify", "none"],
    ...["--out", `${folder}/${out}`, ...more],
  ];
  const gptq = ["--rounding", "gptq", "--threads", "1"];
  const stdout = await doneHere(to("g", ...gptq, "--calibration", text, "--json"));
  assert.match(stdout, /"stage":"rounding","done":\d+,"total":24/);
  await doneHere(to("n", "--rounding", "nearest"));
  const recordOf = async (out: string) =>
    JSON.parse(await Deno.readTextFile(`${folder}/${out}/export.json`));
  const [own, nearest] = await Promise.all([recordOf("g"), recordOf("n")]);
  const { by, tokens, digest } = own.rounding;
  assert.deepEqual([by, tokens % 512], ["gptq", 0]);
  assert.match(digest, /^sha256:/);
  assert.ok(tokens > 0 && tokens < 1500, `${tokens}`);
  assert.equal(nearest.rounding, undefined);
  const [file] = own.files;
  const [found, plain] = ["g", "n"].map((out) => Deno.readFileSync(`${folder}/${out}/${file}`));
  assert.equal(found.length, plain.length);
  assert.notDeepEqual(found, plain);
  await Deno.writeTextFile(text, "Call me Ishmael.");
  await failsHere(
    to("x", ...gptq, "--calibration", text),
    1,
    /calibration text .*t\.txt: the text/,
  );
  await failsHere(to("x", ...gptq, "--calibration", `${folder}/none.txt`), 1, /none\.txt/);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
    "g",
    "n",
    "t.txt",
  ]);
});

test("what is not rounded, and a text for nothing, are refused before the work", async (folder) => {
  const cases = [
    [
      ["--to", "onnx", "--quantize", "q4", "--rounding", "gptq"],
      /gptq is for --to gguf with --quantize/,
    ],
    [["--to", "gguf", "--rounding", "gptq"], /gptq is for --to gguf with --quantize/],
    [["--to", "gguf", "--quantize", "q4_0", "--calibration", "t.txt"], /goes with --rounding gptq/],
  ] as const;
  for (const [args, message] of cases) {
    await failsHere(["export", "demo", ...args, "--out", `${folder}/x`], 2, message);
  }
});
