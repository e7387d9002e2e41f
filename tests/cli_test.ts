import assert from "node:assert/strict";
import { inTemporaryFolder, PUBLISHED, QUICK, runLopper, startLopper } from "./support/cli.ts";
import { doneHere, failsHere, runHere } from "./support/in_process.ts";
import { pruneHere, writeTinyRun } from "./support/tiny_run.ts";

const test = (name: string, body: (folder: string) => Promise<void>) =>
  Deno.test(`cli: ${name}`, () => inTemporaryFolder(body));

/** One failing command: exit code, and one clear sentence instead of a stack trace. */
async function fails(args: readonly string[], folder: string, code: number, message: RegExp) {
  const result = await runLopper(args, folder);
  assert.equal(result.code, code, `${args.join(" ")}: ${result.stderr}`);
  assert.match(result.stderr, message);
  assert.doesNotMatch(result.stderr, /^\s+at /m, "no stack trace for a user's mistake");
  assert.equal(result.stdout, "");
}

const read = (path: string) => Deno.readTextFile(path);

test("prune writes a checkpoint, a plan, a journal and a record, says nothing else when piped", async (folder) => {
  const at = (name: string) => `${folder}/${name}`;
  const args = ["prune", "--out", "p", ...PUBLISHED, "--mlp-group", "256"];
  const { code, stdout, stderr } = await runLopper(args, folder);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "");
  for (
    const what of [
      "parameters",
      "held-out",
      "block-tokens",
      "written to",
      "own reader",
      "dense:",
      "pruned:",
    ]
  ) {
    assert.ok(stdout.includes(what), `${what} in ${stdout}`);
  }
  const files = [...Deno.readDirSync(`${folder}/p`)].map(({ name }) => name).sort();
  assert.deepEqual(files, [
    "README.md",
    "config.json",
    "configuration_lopper.py",
    "generation_config.json",
    "journal.jsonl",
    "lopper_plan.json",
    "model.safetensors",
    "modeling_lopper.py",
    "pruning_config.json",
    "report.html",
    "run.json",
    "settings.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);

  const record = JSON.parse(await read(`${folder}/p/run.json`));
  assert.match(record.modelDigest, /^sha256:/);
  assert.match(record.calibrationDigest.block, /^sha256:/);
  assert.equal(record.flags.ratio, 20);
  assert.ok(record.ratio >= 20 && record.ratio < 24, `ratio ${record.ratio}`);
  assert.ok(record.parameters.pruned < record.parameters.dense * 0.8);
  assert.ok(record.bytes.pruned < record.bytes.dense * 0.8);
  assert.ok(record.perplexity.heldOut.pruned > record.perplexity.heldOut.dense);
  assert.ok(record.perplexity.calibration.dense > 1);
  assert.ok(record.wallSeconds > 0);
  const saved = record.blockTokens.spent / record.blockTokens.full;
  assert.ok(saved <= 0.25, `the fast search spent ${saved} of full forward passes`);

  const entries = (await read(`${folder}/p/journal.jsonl`)).trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  const steps = entries.filter(({ type }) => type === "step");
  assert.equal(steps.length, record.steps);
  for (const { step, taken, ppl, candidates } of steps) {
    // what every step says of its candidates is what the lines before it found out
    const scored = (of: string) =>
      entries.filter((e) => e.type === "score" && e.step === step && e.of === of)
        .flatMap((e) => e.sequences);
    for (const { key, sequences } of candidates) assert.equal(scored(key).length, sequences);
    const most = Math.max(...candidates.map((c: { sequences: number }) => c.sequences));
    const all = candidates.filter((c: { sequences: number }) => c.sequences === most);
    assert.equal(ppl, Math.min(...all.map((c: { ppl: number }) => c.ppl)));
    assert.equal(scored(taken.key).length, most);
  }

  // what was written opens like any other model
  const facts = JSON.parse(await doneHere(["inspect", at("p"), "--digest", "--json"]));
  assert.equal(facts.parameters.total, record.parameters.pruned);
  assert.equal(facts.digest, record.prunedDigest);
  const generated = await runLopper(["generate", "p", "The ship", "--max-tokens", "5"], folder);
  assert.equal(generated.code, 0, generated.stderr);
  assert.ok(generated.stdout.startsWith("The ship"));

  // a finished run is not written over, and resuming it says so
  const finished = /finished run.*--overwrite/;
  await failsHere(["prune", "--out", at("p"), ...PUBLISHED], 2, finished);
  assert.ok((await pruneHere(["--out", at("p"), "--resume"])).includes("parameters"));
});

test("the plan of a run gives the same checkpoint without a search; so does the published config", async (folder) => {
  const at = (name: string) => `${folder}/${name}`;
  const [model, ...tiny] = await writeTinyRun(folder);
  const settings = ["--preset", "multipruner", "--distribution", "60:20:20", "--mlp-group", "6"];
  await pruneHere([model, ...tiny, ...settings, "--ratio", "30", "--out", at("p")]);
  for (const plan of ["lopper_plan.json", "pruning_config.json"]) {
    await pruneHere([model, ...tiny, "--plan", at(`p/${plan}`), "--out", at(plan)]);
    assert.deepEqual(
      await Deno.readFile(at(`${plan}/model.safetensors`)),
      await Deno.readFile(at("p/model.safetensors")),
      plan,
    );
  }
  // and belongs to the dense model only
  await failsHere(
    ["prune", at("p"), ...tiny, "--plan", at("p/lopper_plan.json"), "--out", at("q")],
    1,
    /the plan belongs to the checkpoint sha256:\w+ and this one is/,
  );
  // the model's own folder is never cleared
  const own = ["prune", at("p"), ...tiny, "--out", at("p"), "--overwrite"];
  await failsHere(own, 2, /own folder/);
});

test("prune --json prints objects only, the record last", async (folder) => {
  // by Lopper's own settings: every phase of a run works with what its task in deno.json may do
  const args = ["prune", ...await writeTinyRun(folder), "--json", "--ratio", "25", "--out", "p"];
  const { code, stdout, stderr } = await runLopper([...args, "--swap", "auto"], folder);
  assert.equal(code, 0, stderr);
  const events = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(events.at(-1).event, "result");
  assert.equal(events.at(-1).kind, "lopper-run");
  assert.equal(events.filter(({ event }) => event === "step").length, events.at(-1).steps);
  const { rankings, recovery, swaps } = events.at(-1);
  assert.ok(rankings.length > 0 && recovery.tried > 0 && swaps.length > 0, stdout);
});

test("without a preset the settings are Lopper's own, and a published one is one flag away", async (folder) => {
  const tiny = await writeTinyRun(folder);
  const flagsOf = async (...args: string[]) => {
    const dry = ["--dry-run", "--json", "--out", `${folder}/p`];
    const stdout = await pruneHere([...tiny, ...dry, ...args]);
    const { preset, distribution, ranking, recover } =
      JSON.parse(stdout.trimEnd().split("\n").at(-1)!).flags;
    return [preset, distribution, ranking, recover];
  };
  assert.deepEqual(await flagsOf(), ["lopper", "auto", "auto", "auto"]);
  const published = ["multipruner", "44:52:4", "l1", "none"];
  assert.deepEqual(await flagsOf("--preset", "multipruner"), published);
});

test("prune --dry-run writes nothing and says what would be done", async (folder) => {
  const tiny = await writeTinyRun(`${folder}/own`);
  const stdout = await pruneHere([...tiny, "--dry-run", "--out", `${folder}/p`]);
  assert.match(stdout, /blocks, MLP channels and heads up to 20\.00 % of the parameters/);
  assert.match(stdout, /about \d+ steps/);
  assert.match(stdout, /then refits, about [\d.]+ m?s/);
  assert.match(stdout, /about [\d.]+ m?s in all, .*up to [\d.]+ MB of memory/);
  assert.match(stdout, /dense perplexity on the calibration text: \d/);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["own"]);
});

test("a backend that does not work here is refused with 1 and one sentence", async (folder) => {
  for (const name of ["cuda", "webgpu"]) {
    const { code, stdout, stderr } = await runLopper(
      ["generate", "demo", "Call me", "--max-tokens", "1", "--backend", name],
      folder,
    );
    if (code === 0) continue;
    assert.equal(code, 1);
    assert.equal(stdout, "");
    const lines = stderr.trimEnd().split("\n");
    assert.match(
      lines.at(-1)!,
      new RegExp(`^lopper: backend ${name} cannot be opened: .+; it needs `),
    );
    // the WebGPU engine itself has more to say where there is no Vulkan
    if (name === "cuda") assert.equal(lines.length, 1, stderr);
  }
  const { stdout } = await runLopper(["prune", "--help"], folder);
  assert.match(stdout.replace(/\s+/g, " "), /"auto", "cpu", "wasm", "cuda", "webgpu"/);
});

test("wrong usage exits with 2 and one sentence", async (folder) => {
  const at = (name: string) => `${folder}/${name}`;
  await failsHere(["prune", "--ratio", "150"], 2, /below 100/, folder);
  await failsHere(
    ["prune", "--out", at("p"), "--calibration-width", at("notes.txt")],
    2,
    /compete with blocks on the same text; leave it out, or pass shares, e\.g\. --distribution 44:52:4/,
  );
  await failsHere(["prune", "--out", at("p"), "--distribution", "1:2"], 2, /three shares/);
  await failsHere(
    ["prune", "--out", at("p"), "--preset", "width", "--distribution", "1:1:1"],
    2,
    /fixes the distribution/,
  );
  await failsHere(
    ["prune", "--out", at("p"), "--backend", "abacus"],
    2,
    /Allowed choices are auto, cpu, wasm, cuda, webgpu/,
  );
  await failsHere(["prune", "--out", at("p"), "--attention-group", "7"], 2, /multiple of 96/);
  await failsHere(["prune", "--out", at("p"), "--seq-len", "4096"], 2, /takes 1024 tokens at most/);
  await fails(["frobnicate"], folder, 2, /unknown command/);
  await failsHere(["generate", "demo", ""], 2, /the prompt is empty/);
  assert.deepEqual([...Deno.readDirSync(folder)], [], "nothing was written");
});

test("what cannot be done exits with 1, names the file, and leaves nothing behind", async (folder) => {
  const at = (name: string) => `${folder}/${name}`;
  await Deno.mkdir(`${folder}/empty`);
  await Deno.writeTextFile(`${folder}/list.jsonl`, '{"text": "fine"}\n{"words": 1}\n');
  await Deno.writeTextFile(`${folder}/short.txt`, "too short\n");
  await Deno.writeTextFile(`${folder}/plan.json`, '{"kind": "shopping list"}');
  await failsHere(["inspect", "missing"], 1, /missing: there is no such folder/, folder);
  await fails(["inspect", "x".repeat(300)], folder, 1, /x{300}.*the name is longer than/);
  await failsHere(["inspect", at("empty")], 1, /empty: the folder is empty/);
  await failsHere(
    ["prune", "--out", at("p"), "--calibration", at("none.txt")],
    1,
    /none\.txt: there is no such file/,
  );
  await failsHere(
    ["prune", "--out", at("p"), "--calibration", at("list.jsonl")],
    1,
    /list\.jsonl, line 2/,
  );
  const short = ["prune", "--calibration", "short.txt"];
  await failsHere(short, 1, /one sequence needs 256/, folder);
  await failsHere(["prune", "--out", at("p"), "--plan", at("plan.json")], 1, /plan\.json/);
  await failsHere(
    ["prune", "--out", at("p"), "--ratio", "97"],
    1,
    /the largest reachable ratio is \d+\.\d+ %/,
  );
  assert.deepEqual(
    [...Deno.readDirSync(folder)].map(({ name }) => name).sort(),
    ["empty", "list.jsonl", "plan.json", "short.txt"],
  );
});

test("--best-effort ends where the candidates end", async (folder) => {
  const tiny = await writeTinyRun(folder);
  const args = ["prune", ...tiny, "--preset", "heads", "--ratio", "90", "--out", "p"];
  await failsHere(args, 1, /largest reachable/, folder);
  const { code, stderr } = await runHere([...args, "--best-effort"], folder);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /warning: no more heads can go at/);
  const record = JSON.parse(await read(`${folder}/p/run.json`));
  assert.equal(record.steps, record.layers.dense.length, "each layer lost the group that it can");
});

test("Ctrl-C before a run has written anything promises nothing to resume", async (folder) => {
  const args = ["prune", "--json", "--out", "p", "--calibration", "self", "--samples", "64"];
  const process = startLopper(args, folder, { LOPPER_CACHE: `${folder}/cache` });
  const stderr = new Response(process.stderr).text();
  let told = "";
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    told += text;
    // pressed twice, it would end at once
    if (told.includes("writing text")) {
      process.kill("SIGINT");
      break;
    }
  }
  assert.equal((await process.status).code, 130, told);
  assert.match(await stderr, /stopped/);
  assert.doesNotMatch(await stderr, /--resume/);
  assert.ok(![...Deno.readDirSync(folder)].some(({ name }) => name === "p"));
});

test("Ctrl-C leaves a run that --resume finishes, with the same plan", async (folder) => {
  const args = ["--preset", "blockpruner", "--ratio", "4", ...QUICK];
  const process = startLopper(["prune", "--out", "p", ...args], folder);
  const output = process.output();
  const journal = `${folder}/p/journal.jsonl`;
  while ((await read(journal).catch(() => "")) === "") {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  process.kill("SIGINT");
  const { code, stderr } = await output;
  assert.equal(code, 130);
  assert.match(
    new TextDecoder().decode(stderr),
    /nothing is lost, continue with: .*--resume --out/,
  );
  const before = await read(journal);
  await failsHere(
    ["prune", "--out", "p", ...args],
    2,
    /unfinished run \(--resume continues it\)/,
    folder,
  );
  await failsHere(
    ["prune", "--out", "p", "--resume", "--ratio", "3"],
    1,
    /the setting ratio was 4 and is now 3/,
    folder,
  );

  // a power cut in the middle of a line
  await Deno.writeTextFile(journal, '{"step":7,"stage":"blo', { append: true });
  const resumed = await runLopper(["prune", "--out", "p", "--resume"], folder);
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.ok((await read(journal)).startsWith(before), "the journal only grew");
  for (const line of (await read(journal)).trimEnd().split("\n")) JSON.parse(line);
  await doneHere(["prune", "--out", "straight", ...args], folder);
  assert.equal(
    await read(`${folder}/p/lopper_plan.json`),
    await read(`${folder}/straight/lopper_plan.json`),
  );
});

test("a finished run goes on to a higher ratio without repeating what it did", async (folder) => {
  const out = `${folder}/p`;
  const args = [...await writeTinyRun(folder), "--preset", "width", "--mlp-group", "3"];
  await pruneHere(["--out", out, "--ratio", "5", ...args]);
  const before = await read(`${out}/journal.jsonl`);
  const resume = (ratio: number) => ["--out", out, "--resume", "--ratio", String(ratio)];
  await failsHere(["prune", ...resume(4)], 2, /reached 5 %/);

  await pruneHere(resume(10));
  const after = await read(`${out}/journal.jsonl`);
  assert.ok(after.startsWith(before) && after.length > before.length, "the journal only grew");
  const record = JSON.parse(await read(`${out}/run.json`));
  assert.ok(record.ratio >= 10, `ratio ${record.ratio}`);
  assert.deepEqual([record.flags.ratio, record.flags.earlierRatios], [10, [5]]);
  const steps = (text: string) => text.split('"type":"step"').length - 1;
  assert.equal(record.steps, steps(after));
  assert.ok(steps(after) > steps(before));
  const facts = JSON.parse(await doneHere(["inspect", out, "--json"]));
  assert.equal(facts.parameters.total, record.parameters.pruned);

  await pruneHere(resume(10));
  assert.equal(await read(`${out}/journal.jsonl`), after, "finished is finished");
});

test("techniques of the fast search can be switched off, and only by their names", async (folder) => {
  const out = ["--out", `${folder}/p`];
  await failsHere(["prune", ...out, "--fast-without", "speed"], 2, /"speed".*racing, lazy/);
  await failsHere(
    ["prune", ...out, "--fast-without", "lazy", "--search", "exhaustive"],
    2,
    /this search is exhaustive/,
  );
  const without = ["--fast-without", "reuse,threshold,proxies,lazy,racing", ...out];
  const run = [...await writeTinyRun(folder), "--preset", "heads", "--ratio", "10"];
  await pruneHere([...run, ...without]);
  const record = JSON.parse(await read(`${folder}/p/run.json`));
  const off = ["racing", "lazy", "proxies", "threshold", "reuse"];
  assert.deepEqual(record.flags.fastWithout, off);
  const journal = (await read(`${folder}/p/journal.jsonl`)).trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  assert.ok(record.steps > 1);
  assert.ok(journal.every((entry) => entry.type !== "perturbations" && entry.of !== "base"));
  for (const { candidates } of journal.filter(({ type }) => type === "step")) {
    const counts = candidates.map((c: { sequences: number }) => c.sequences);
    assert.ok(counts.every((n: number) => n === counts[0]), "all on all");
  }
});

test("without --out, results get names of their own where the user stands", async (folder) => {
  const args = ["prune", ...await writeTinyRun(folder), "--preset", "heads", "--ratio", "1"];
  // The place of a process is found out in another way than that of a caller in it.
  for (
    const [run, expected] of [
      [runLopper, "lopper-model-pruned"],
      [runHere, "lopper-model-pruned-2"],
    ] as const
  ) {
    const { code, stderr } = await run(args, folder);
    assert.equal(code, 0, stderr);
    await Deno.stat(`${folder}/${expected}/run.json`);
  }
});

test("export writes, verifies and records; the result is there whole or not at all", async (folder) => {
  const args = ["export", "demo", "--out", "x"];
  const first = await runLopper([...args, "--to", "onnx", "--dtype", "fp16"], folder);
  assert.equal(first.code, 0, first.stderr);
  assert.equal(first.stderr, "");
  assert.match(
    first.stdout,
    /6 files, 11\.\d MB, written to .*x\n.*verified on 128 held-out tokens/,
  );
  const record = JSON.parse(await read(`${folder}/x/export.json`));
  assert.equal(record.kind, "lopper-export");
  assert.deepEqual([record.format, record.dtype, record.quantize], ["onnx", "fp16", null]);
  assert.match(record.source.digest, /^sha256:/);
  let bytes = 0;
  for (const file of record.files) bytes += (await Deno.stat(`${folder}/x/${file}`)).size;
  assert.equal(record.bytes, bytes);
  const { positions, maxAbs, meanKl, tolerance, engine } = record.verification;
  assert.deepEqual([positions, tolerance], [128, 0.02]);
  assert.ok(maxAbs <= tolerance && meanKl >= 0, JSON.stringify(record.verification));
  assert.match(engine, /^onnxruntime-node /);

  // what stands there is replaced only when it is an export, and the user says so
  const to = (
    name: string,
    format: string,
    ...more: readonly string[]
  ) => ["export", "demo", "--out", `${folder}/${name}`, "--to", format, ...more];
  await failsHere(to("x", "safetensors"), 2, /x is not empty.*--overwrite/);
  await Deno.mkdir(`${folder}/y`);
  await Deno.writeTextFile(`${folder}/y/letter.txt`, "Dear Ishmael");
  await failsHere(to("y", "safetensors", "--overwrite"), 2, /holds no export\.json/);
  const second = ["--verify", "none", "--overwrite", "--json"];
  const stdout = await doneHere(to("x", "safetensors", ...second));
  const result = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
  assert.deepEqual([result.event, result.format, result.verification], [
    "result",
    "safetensors",
    null,
  ]);
  const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();
  assert.deepEqual(names(`${folder}/x`), [
    "config.json",
    "export.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);

  await failsHere(
    to("z", "safetensors", "--quantize", "q4"),
    2,
    /--quantize q4 does not go with --to safetensors/,
  );
  await failsHere(to("z", "papyrus"), 2, /papyrus.*invalid/);
  const missing = ["export", "missing", "--to", "onnx", "--out", "z"];
  await failsHere(missing, 1, /no such folder/, folder);
  assert.deepEqual(names(folder), ["x", "y"], "nothing is left beside the results");
});

test("an export whose text cannot be tokenised, or whose weights do not fit, leaves nothing", async (folder) => {
  const model = `${folder}/m`;
  await doneHere(["export", "demo", "--to", "safetensors", "--verify", "none", "--out", model]);
  const out = ["--to", "onnx", "--out", `${folder}/x`];
  await Deno.remove(`${model}/tokenizer.json`);
  await failsHere(["export", model, ...out], 1, /no file tokenizer\.json/);
  // the last weight becomes float16's infinity
  const weights = await Deno.open(`${folder}/m/model.safetensors`, { read: true, write: true });
  const { size } = await weights.stat();
  await weights.seek(size - 2, Deno.SeekMode.Start);
  await weights.write(Uint8Array.of(0x00, 0x7c));
  weights.close();
  await failsHere(
    ["export", model, "--verify", "none", ...out],
    1,
    /m\/model\.safetensors, tensor .*Infinity; weights need to be finite/,
  );
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["m"]);
});

test("--help shows examples, and --version the version", async (folder) => {
  const { code, stdout: help } = await runLopper(["prune", "--help"], folder);
  assert.equal(code, 0);
  assert.match(help, /Examples:\n {2}deno task /);
  const { stdout } = await runLopper(["--version"], folder);
  assert.match(stdout, /^lopper \d+\.\d+\.\d+ \(a checkout\), on \S+ \S+\nlicence: \S+\n$/);
});
