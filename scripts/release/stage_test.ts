import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { checkWhole } from "./bundle.ts";
import { compileStage } from "./compile_binary.ts";
import { done } from "./done.ts";
import { filesIn } from "./folders.ts";
import { stageProgram } from "./stage.ts";

const TARGET = "x86_64-unknown-linux-gnu";
/** The runtime of a binary has 92 MB with Deno 2.6.10, and a binary 180 at most. */
const MAX_EMBEDDED = 85e6;
/** What a person could not do without, and what has no business there. */
const NEEDED = [
  "main.js",
  "data/model/model.safetensors",
  "data/model/tokenizer.json",
  "data/calibration.jsonl",
  "data/mathematics.jsonl",
  "data/held_out.txt",
  "data/held_out/mathematics.jsonl",
  "node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.mjs",
  "node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
  "node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1",
  "node_modules/onnxruntime-node/bin/napi-v6/linux/x64/onnxruntime_binding.node",
  "licences.txt",
  "LICENSE",
];
const NEEDLESS = /\.(?:ts|map|md|dll|dylib)$|jsep|jspi|asyncify|webgl|darwin|win32|arm64|_test/;

Deno.test("release: a stage has what the program needs for one system, and nothing else", async (t) => {
  const stage = await Deno.makeTempDir({ prefix: "lopper-test-" });
  try {
    const system = { platform: "linux", arch: "x64" } as const;
    const { threads } = await stageProgram(stage, { kind: "binary", target: TARGET, system });
    const files = (await filesIn(stage)).map((file) => relative(stage, file));
    await t.step("contents", () => {
      for (const file of NEEDED) assert.ok(files.includes(file), file);
      assert.deepEqual(files.filter((file) => NEEDLESS.test(file)), []);
      const engines = files.filter((file) => /\.(?:wasm|node|so[.\d]*)$/.test(file));
      assert.equal(engines.length, 3, engines.join(" "));
    });
    await t.step("threads: all that the sources start", async () => {
      assert.deepEqual([...threads].sort(), await threadsOfSources());
      for (const name of threads) assert.ok(files.includes(`${name}.js`), name);
    });
    await t.step("what is missing is noticed", async () => {
      for (const name of [`${threads[0]}.js`, "data/held_out.txt"]) {
        await Deno.rename(join(stage, name), join(stage, "elsewhere"));
        await assert.rejects(checkWhole(stage), new RegExp(`needs \\./${name}`));
        await Deno.rename(join(stage, "elsewhere"), join(stage, name));
      }
      await checkWhole(stage);
    });
    await t.step({
      name: "it runs, with its own engine, and is called lopper",
      ignore: Deno.build.target !== TARGET,
      fn: () => runs(stage),
    });
    await t.step("it is compiled, and is no larger than it may be", async () => {
      const out = join(stage, "binary");
      // Whose runtime it gets is the same for the size of the rest; this one is at hand.
      const deno = Deno.execPath();
      await compileStage(stage, out, { target: TARGET, deno, env: { DENORT_BIN: deno } });
      const embedded = (await Deno.stat(out)).size - (await Deno.stat(Deno.execPath())).size;
      assert.ok(embedded > 70e6 && embedded < MAX_EMBEDDED, `${embedded} bytes`);
    });
  } finally {
    await Deno.remove(stage, { recursive: true });
  }
});

/** Names of the modules that are threads, found by another way than the bundle's. */
async function threadsOfSources(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of ["packages", "apps/cli"]) {
    for (const file of await filesIn(join(import.meta.dirname!, "../..", folder))) {
      const name = /(\w*worker)\.ts$/.exec(file)?.[1];
      if (name !== undefined) found.push(name);
    }
  }
  return found.sort();
}

async function runs(stage: string) {
  const cache = join(stage, "cache");
  const lopper = (...args: string[]) =>
    done(Deno.execPath(), ["run", "--quiet", "--allow-all", "main.js", ...args], stage, {
      LOPPER_CACHE: cache,
    });
  const version = await lopper("--version");
  assert.match(version, /^lopper [\d.]+ \(commit [0-9a-f]{12}(?:, changed)?, binary for x86_64-/);
  assert.match(
    version,
    /^engines: onnxruntime-node [\d.]+ \(MIT\), onnxruntime-web [\d.]+ \(MIT\)$/m,
  );
  const help = await lopper("prune", "--help");
  assert.match(help, /^Usage: lopper prune /);
  assert.match(help, /^ {2}lopper prune --resume/m);
  assert.doesNotMatch(help, /deno/);
  const words = ["generate", "demo", "The sea", "--max-tokens", "1", "--backend", "cpu"];
  const said = await lopper(...words, "--threads", "1");
  assert.match(said, /^The sea./);
  const [engine] = await filesIn(cache);
  assert.match(engine, /engines\/onnxruntime-node-[\d.]+-linux-x64-[0-9a-f]{12}\/libonnxruntime/);
  // What somebody cut off takes its place again.
  await Deno.truncate(engine, 10);
  assert.equal(await lopper(...words, "--threads", "1"), said);
}
