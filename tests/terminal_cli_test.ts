import { DEMO_MODEL } from "@lopper/demo-model";
import assert from "node:assert/strict";
import { inTemporaryFolder, runLopper } from "./support/cli.ts";
import { runHere } from "./support/in_process.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`terminal: ${name}`, () => inTemporaryFolder(body));

/** Control characters, and marks that turn the direction of text. */
// deno-lint-ignore no-control-regex
const OBEYED = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;
/** Clears the screen, says it again in C1, sets a title, turns what follows around. */
const HOSTILE = "\x1b[2J\x9b2J\x1b]0;t\x07\u202eab";

test("no command passes on what a terminal would obey, wherever it came from", async (folder) => {
  const model = `${folder}/m${HOSTILE}`;
  await Deno.mkdir(model);
  const config = JSON.parse(await Deno.readTextFile(new URL("config.json", DEMO_MODEL)));
  await Deno.writeTextFile(
    `${model}/config.json`,
    JSON.stringify({ ...config, model_type: HOSTILE }),
  );
  const calls = [
    ["inspect", model, "--json"],
    ["generate", model, HOSTILE],
    ["prune", model, "--out", `${folder}/out${HOSTILE}`],
    ["prune", "--calibration", `${HOSTILE}.txt`, "--json"],
    ["evaluate", "demo", "--tasks", HOSTILE],
    ["report", HOSTILE],
    ["export", model, "--to", HOSTILE, "--out", "x"],
    [HOSTILE],
  ];
  for (const args of calls) {
    const { code, stdout, stderr } = await runHere(args, folder);
    assert.notEqual(code, 0, args.join(" "));
    assert.doesNotMatch(stdout + stderr, OBEYED, args.join(" "));
    assert.match(stderr, /\\(x1b|u001b)\[2J/, args[0]);
  }
});

test("a model's words are shown, and not obeyed", async (folder) => {
  await Deno.mkdir(`${folder}/m`);
  for (const file of ["config.json", "model.safetensors"]) {
    await Deno.copyFile(new URL(file, DEMO_MODEL), `${folder}/m/${file}`);
  }
  const tokenizer = JSON.parse(await Deno.readTextFile(new URL("tokenizer.json", DEMO_MODEL)));
  // In the alphabet of bytes ě stands for the escape character; whatever had an e has it now.
  const escapes = (text: string) => text.startsWith("<|") ? text : text.replaceAll("e", "ě");
  const { vocab, merges } = tokenizer.model;
  delete vocab["ě"];
  tokenizer.model.vocab = Object.fromEntries(
    Object.entries(vocab).map(([token, id]) => [escapes(token), id]),
  );
  tokenizer.model.merges = JSON.parse(escapes(JSON.stringify(merges)));
  await Deno.writeTextFile(`${folder}/m/tokenizer.json`, JSON.stringify(tokenizer));
  const args = ["generate", "m", "It was a dark night and", "--max-tokens", "40"];
  const { code, stdout, stderr } = await runLopper(args, folder);
  assert.equal(code, 0, stderr);
  assert.ok(stdout.startsWith("It was a dark night and"), stdout);
  assert.match(stdout, /\\x1b/);
  assert.doesNotMatch(stdout, OBEYED);
});

test("a prompt that is too long is an error with both numbers, and a text that fills the model says so", async (folder) => {
  const words = (n: number) => Array.from({ length: n }, () => "sea").join(" ");
  const long = await runHere(["generate", "demo", words(1400)], folder);
  assert.equal(long.code, 2);
  assert.equal(long.stdout, "");
  const [, tokens] =
    /^lopper: the prompt has (\d+) tokens, and the model takes 1024,.*\n$/.exec(long.stderr) ?? [];
  assert.ok(Number(tokens) > 1024, long.stderr);
  const full = await runHere(["generate", "demo", words(1022), "--max-tokens", "9"], folder);
  assert.equal(full.code, 0, full.stderr);
  assert.match(
    full.stderr,
    /^note: it ends after \d of 9 tokens, since the model takes 1024, and the prompt has 10\d\d\n$/,
  );
});
