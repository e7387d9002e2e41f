import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { openModel } from "@lopper/model-io";
import { FileFolder } from "@lopper/model-io/files";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { readPage, tableOf } from "../../packages/report/testing/read_page.ts";
import { runLopper, startLopper } from "./cli.ts";

/** What two runs of the same search must have in common, byte for byte. */
const SAME_BYTES = [
  "lopper_plan.json",
  "pruning_config.json",
  "model.safetensors",
  "config.json",
  "settings.json",
] as const;

/**
 * Kills runs of the embedded model with SIGKILL at random moments, resumes each, and compares what comes out with a run
 * that nobody disturbed.
 * @returns how many kills hit a run that was still going.
 */
export async function killAndResume(
  folder: string,
  settings: readonly string[],
  kills: number,
  seed: number,
): Promise<void> {
  const started = performance.now();
  const undisturbed = await runLopper(["prune", "--out", "reference", ...settings], folder);
  const duration = performance.now() - started;
  assert.equal(undisturbed.code, 0, undisturbed.stderr);

  const random = xoroshiro128plus(seed);
  let done = 0, runs = 0, out = "run-0";
  while (done < kills) {
    const process = startLopper(["prune", "--out", out, "--resume", ...settings], folder);
    const output = process.output();
    const wait = uniformFloat64(random) * duration;
    const timer = setTimeout(() => {
      try {
        process.kill("SIGKILL");
      } catch { /* it was faster */ }
    }, wait);
    const { signal, code, stderr } = await output;
    clearTimeout(timer);
    if (signal === "SIGKILL") {
      done += 1;
      await checkNoPartialFile(`${folder}/${out}`, `${folder}/reference`);
    } else {
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      await checkSameResult(folder, out);
      out = `run-${++runs}`;
    }
  }
  const last = await runLopper(["prune", "--out", out, "--resume", ...settings], folder);
  assert.equal(last.code, 0, last.stderr);
  await checkSameResult(folder, out);
  console.log(`${done} kills, ${runs + 1} runs finished, all equal to the undisturbed one`);
}

/** Compares a run with the one in `reference`, in the same folder. */
export async function checkSameResult(folder: string, out: string) {
  await checkSameFiles(folder, out);
  const page = async (run: string) =>
    tableOf(
      readPage(await Deno.readTextFile(`${folder}/${run}/report.html`)),
      "Every step of the search",
    );
  assert.deepEqual(await page(out), await page("reference"));
}

/** `checkSameResult` without the page, which says nothing of steps where there was no search. */
export async function checkSameFiles(folder: string, out: string) {
  for (const file of SAME_BYTES) {
    // Not every run has a pruning_config.json.
    const paths = [out, "reference"].map((run) => `${folder}/${run}/${file}`);
    const there = paths.map((path) => existsSync(path));
    assert.equal(there[0], there[1], `${file} of ${out}`);
    if (there[0]) await assertSameBytes(paths[0], paths[1], `${file} of ${out}`);
  }
  // Everything but what it cost: whoever is killed does some of it again.
  const costs = { cost: null, blockTokens: null, seconds: null, checksum: null };
  const decisions = async (run: string) =>
    (await Deno.readTextFile(`${folder}/${run}/journal.jsonl`)).trimEnd().split("\n")
      .map((line) => ({ ...JSON.parse(line), ...costs }));
  assert.deepEqual(await decisions(out), await decisions("reference"));
  const model = await openModel(new FileFolder(`${folder}/${out}`));
  model.close();
}

/** Every file under its final name is whole, whenever the run was cut off; only the journal grows in place. */
async function checkNoPartialFile(path: string, reference: string) {
  let entries;
  try {
    entries = [...Deno.readDirSync(path)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  for (const { name } of entries) {
    if (name.startsWith(".") || name === "journal.jsonl") continue;
    // These two say how long it took.
    if (name === "run.json") {
      JSON.parse(await Deno.readTextFile(`${path}/${name}`));
      continue;
    }
    if (name === "report.html") {
      readPage(await Deno.readTextFile(`${path}/${name}`));
      continue;
    }
    await assertSameBytes(`${path}/${name}`, `${reference}/${name}`, `${name} after a kill`);
  }
}

/** Without drawing the difference: that of two checkpoints does not fit into memory. */
async function assertSameBytes(actual: string, expected: string, message: string) {
  const [a, b] = await Promise.all([readFile(actual), readFile(expected)]);
  assert.ok(a.equals(b), message);
}
