import assert from "node:assert/strict";
import { inTemporaryFolder, startLopper } from "../support/cli.ts";

/** What a text of any size may take beside what the same command takes for a short one. */
const MAX_GROWN = 300e6;
const PARAGRAPH = "It was a dark and stormy night; the rain fell in torrents. ".repeat(8);

/**
 * The memory of the program at its highest, in bytes, as Linux keeps it (proc(5), VmHWM), its exit
 * code and errors.
 */
async function peakOf(args: readonly string[], folder: string) {
  const process = startLopper(args, folder);
  let [peak, ended] = [0, false];
  const output = process.output().finally(() => ended = true);
  while (!ended) {
    const status = await Deno.readTextFile(`/proc/${process.pid}/status`).catch(() => "");
    peak = Math.max(peak, 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { code, stderr } = await output;
  return { peak, code, stderr: new TextDecoder().decode(stderr) };
}

/** A file of some size, of the same bytes over and over. */
async function write(path: string, size: number, text: string, [before, behind] = ["", ""]) {
  using file = await Deno.open(path, { write: true, create: true });
  const encoder = new TextEncoder();
  const many = encoder.encode(text.repeat(Math.ceil(2 ** 20 / text.length)));
  await file.write(encoder.encode(before));
  for (let written = 0; written < size; written += many.byteLength) await file.write(many);
  await file.write(encoder.encode(behind));
}

async function writeTexts(folder: string) {
  await Deno.writeTextFile(`${folder}/small.txt`, `${PARAGRAPH}\n\n`.repeat(40));
  await write(`${folder}/large.txt`, 540e6, `${PARAGRAPH}\n\n`);
  await write(`${folder}/large.jsonl`, 540e6, `${JSON.stringify({ text: PARAGRAPH })}\n`);
  await write(`${folder}/line.txt`, 540e6, "a");
  await write(`${folder}/line.jsonl`, 540e6, "words ", ['{"text":"', '"}\n']);
  await write(`${folder}/letters.txt`, 3e6, "a");
  await write(`${folder}/full.txt`, 3e6, `${PARAGRAPH}\n\n`);
  for (const name of ["sparse.txt", "sparse.jsonl"]) {
    await Deno.writeTextFile(`${folder}/${name}`, "");
    await Deno.truncate(`${folder}/${name}`, 6e9);
  }
  await new Deno.Command("mkfifo", { args: [`${folder}/pipe.txt`] }).output();
  await Deno.symlink("/dev/zero", `${folder}/device.txt`);
}

const DRY = ["prune", "--dry-run", "--seq-len", "64", "--calibration"];
const HELD_OUT = ["prune", "--dry-run", "--seq-len", "64", "--held-out"];
const MEASURE = ["evaluate", "demo", "--offline", "--seq-len", "64", "--perplexity"];
const ASK = ["evaluate", "demo", "--offline", "--tasks"];

/** What is said of each file; null where it is taken. */
const CASES: readonly (readonly [readonly string[], string, RegExp | null])[] = [
  [DRY, "large.txt", null],
  [DRY, "large.jsonl", null],
  [DRY, "line.txt", /line\.txt: behind its byte 0 there is no blank line for 16777216 bytes/],
  [DRY, "line.jsonl", /line\.jsonl: behind its byte 0 there is no line end for 16777216 bytes/],
  [DRY, "letters.txt", /behind its first 0 characters there are 262144 that the tokenizer takes/],
  [DRY, "sparse.txt", /sparse\.txt: not a text: its byte 0 is 0/],
  [DRY, "pipe.txt", /pipe\.txt: this is a pipe;/],
  [DRY, "device.txt", /device\.txt: this is a device;/],
  [HELD_OUT, "full.txt", null],
  [HELD_OUT, "large.txt", /held-out text .*large\.txt: the text has more than 4194304 bytes/],
  [HELD_OUT, "line.jsonl", /line\.jsonl: behind its byte 0 there is no line end/],
  [HELD_OUT, "sparse.jsonl", /sparse\.jsonl: not a text/],
  [MEASURE, "large.txt", /large\.txt: it has 54\d+ bytes and a text to be measured has 8388608 at/],
  [MEASURE, "large.jsonl", /large\.jsonl: it has more than 8388608 bytes of text/],
  [MEASURE, "line.jsonl", /line\.jsonl: behind its byte 0 there is no line end/],
  [MEASURE, "sparse.txt", /sparse\.txt: it has 6000000000 bytes and a text to be measured has/],
  [MEASURE, "device.txt", /device\.txt: this is a device;/],
  [ASK, "large.jsonl", /large\.jsonl: it has 54\d+ bytes and an evaluation set has 268435456 at/],
  [ASK, "sparse.jsonl", /sparse\.jsonl: it has 6000000000 bytes and an evaluation set/],
];

Deno.test({
  name: "input memory: texts of any size are used or refused within 300 MB above a short one",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inTemporaryFolder(async (folder) => {
      await writeTexts(folder);
      const small = new Map<string, number>();
      for (const command of [DRY, MEASURE]) {
        const { code, peak, stderr } = await peakOf([...command, "small.txt"], folder);
        assert.equal(code, 0, stderr);
        small.set(command[0], peak);
      }
      for (const [command, file, message] of CASES) {
        const { code, peak, stderr } = await peakOf([...command, file], folder);
        const grown = peak - small.get(command[0])!;
        const what = `${[...command, file].join(" ")}: ${(grown / 1e6).toFixed(0)} MB more`;
        console.log(what);
        assert.equal(code, message === null ? 0 : 1, `${what}\n${stderr}`);
        if (message !== null) assert.match(stderr, message);
        assert.doesNotMatch(stderr, /^\s+at /m, "no stack trace for a user's mistake");
        assert.ok(grown < MAX_GROWN, what);
      }
    }),
});
