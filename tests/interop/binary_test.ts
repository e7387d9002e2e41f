/**
 * The command line as one file, in an environment that has nothing: it prunes as a checkout does,
 * is killed and goes on, and leaves nothing anywhere but in its cache.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileForTest, startBinary } from "../support/binary.ts";
import { done, inTemporaryFolder, PUBLISHED, QUICK } from "../support/cli.ts";
import { checkSameBytes, killAndResume } from "../support/kill.ts";

/** A file that goes to users has to fit into what they wait for. */
const MAX_BYTES = 180e6;
const HELD_OUT = fileURLToPath(new URL("../fixtures/held_out.txt", import.meta.url));
const MEASURED = ["--perplexity", HELD_OUT, "--seq-len", "64"];

Deno.test("binary: what a user does with it, with no Node, no Deno and no cache", async (t) => {
  await inTemporaryFolder(async (folder) => {
    const binary = join(folder, "lopper");
    if (!await compileForTest(binary, "the test of the binary")) return;
    const { size } = await Deno.stat(binary);
    assert.ok(size < MAX_BYTES, `${size} bytes`);
    const place = join(folder, "Mein Ordner – модель 模型");
    const home = join(folder, "home");
    for (const path of [place, home]) await Deno.mkdir(path);
    const start = (args: readonly string[], cwd: string) => startBinary(binary, home, args, cwd);
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await start(args, place).output();
      const said = new TextDecoder().decode(stderr);
      assert.equal(code, 0, `${args.join(" ")}: ${said}`);
      return { said, printed: new TextDecoder().decode(stdout) };
    };

    await t.step("it says what it is", async () => {
      const { printed } = await run("--version");
      assert.match(printed, /^lopper [\d.]+ \(commit [^)]*, binary for [\w-]+\), on Deno [\d.]+$/m);
      assert.match((await run("prune", "--help")).printed, /^Usage: lopper prune /);
      assert.deepEqual(readdirSync(home), [], "that takes nothing out");
      if (Deno.build.os === "linux") {
        console.log(`start: ${(await cpuSeconds(binary)).toFixed(2)} s of CPU`);
      }
    });
    await t.step("it prunes to the same bytes as a checkout", async () => {
      const settings = [...QUICK, "--ratio", "6"];
      await run("prune", ...settings, "--out", "run");
      await done(["prune", ...settings, "--out", "reference"], place);
      await checkSameBytes(place, "run");
      assert.deepEqual(readdirSync(home), [".cache"]);
      assert.deepEqual(readdirSync(join(home, ".cache/lopper")), ["engines"]);
    });
    await t.step("WebAssembly is in it, too", async () => {
      const wasm = [...PUBLISHED, "--ratio", "2", "--backend", "wasm"];
      await run("prune", ...wasm, "--out", "wasm");
      await done(["prune", ...wasm, "--out", "reference-wasm"], place);
      await checkSameBytes(place, "wasm", "reference-wasm");
    });
    await t.step("it generates, exports, compares, inspects and reports", async () => {
      const words = ["The sea", "--max-tokens", "8", "--temperature", "0"];
      const { printed } = await run("generate", "run", ...words);
      assert.equal(printed, await done(["generate", "run", ...words], place));
      await run("export", "run", "--to", "gguf", "--out", "gguf");
      assert.ok(readdirSync(join(place, "gguf")).some((name) => name.endsWith(".gguf")));
      await run("compare", "demo", "run", "--no-speed", ...MEASURED);
      assert.match((await run("inspect", "run")).printed, /blocks/);
      await run("report", "run", "--out", "page.html");
      const page = await Deno.readTextFile(join(place, "page.html"));
      assert.match(page, /lopper prune --ratio/);
      assert.doesNotMatch(page, /deno task/);
    });
    await t.step(
      "it measures each model in a process of its own, which is the binary again",
      async () => {
        const words = ["compare", "demo", "run", "--json", ...MEASURED];
        const { code, stdout, stderr } = await start(words, place).output();
        const said = new TextDecoder().decode(stderr);
        if (code === 0) assert.match(new TextDecoder().decode(stdout), /"peakResidentBytes":\d/);
        // That the other process came so far shows that it began.
        else {assert.match(
            said,
            /speed of demo .*resourceUsage is not a function/,
            "before Deno 2.9",
          );}
      },
    );
    await t.step("an engine that cannot be taken out is said in a sentence", async () => {
      // Nobody can make a folder there, not even root.
      const noFolder = join(folder, "a file");
      await Deno.writeTextFile(noFolder, "");
      const words = ["generate", "demo", "The sea", "--max-tokens", "1"];
      const { code, stderr } = await startBinary(binary, noFolder, words, place).output();
      const said = new TextDecoder().decode(stderr);
      assert.equal(code, 1, said);
      assert.match(said, /^lopper: .*a file.* LOPPER_CACHE .*--backend wasm/);
      const wasm = [...words, "--backend", "wasm"];
      const other = await startBinary(binary, noFolder, wasm, place).output();
      assert.equal(other.code, 0, new TextDecoder().decode(other.stderr));
    });
    await t.step("killed 20 times, it goes on to the same result", async () => {
      const kills = join(folder, "kills");
      await Deno.mkdir(kills);
      const moments = ["anywhere", "search", "recovery", "writing"] as const;
      const settings = [...QUICK, "--ratio", "4"];
      await killAndResume(kills, settings, { kills: 20, seed: 5, moments, start });
    });
  });
});

/** What a start costs, user and system; the least of three, since others are at work, too. */
async function cpuSeconds(binary: string): Promise<number> {
  const seconds: number[] = [];
  for (let i = 0; i < 3; i++) {
    const script = `TIMEFORMAT="%U %S"; time "$0" --version > /dev/null`;
    const { stderr } = await new Deno.Command("bash", { args: ["-c", script, binary] }).output();
    const [user, system] = new TextDecoder().decode(stderr).trim().split(" ").map(Number);
    seconds.push(user + system);
  }
  return Math.min(...seconds);
}
