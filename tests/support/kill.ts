import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { FileFolder } from "@lopper/files";
import { openModel } from "@lopper/models";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { readJournal } from "../../apps/cli/shared/folder/read_journal.ts";
import { readPage, tableOf } from "@lopper/report/testing";
import { startLopper } from "./cli.ts";

/** What two runs of the same search must have in common, byte for byte. */
const SAME_BYTES = [
  "lopper_plan.json",
  "pruning_config.json",
  "model.safetensors",
  "config.json",
  "settings.json",
] as const;

/** Where a kill is to fall: anywhere in a run, or as soon as a run does this. */
export type Moment = "anywhere" | "search" | "recovery" | "writing" | "export";

export interface Kills {
  /** Processes that are killed while they run. */
  readonly kills: number;
  readonly seed: number;
  /** Take turns. */
  readonly moments: readonly Moment[];
  /** Every second time, another process wants the same folder at the same time. */
  readonly pairs?: boolean;
  /** Every second run replaces another one that is finished. */
  readonly replacing?: boolean;
  /** Starts a process; the checkout's, when it is left out. */
  readonly start?: (args: readonly string[], cwd: string) => Deno.ChildProcess;
}

/**
 * Kills runs with SIGKILL, resumes each, and compares what comes out with a
 * run that nobody disturbed. Settings with --export have the export compared, too.
 */
export async function killAndResume(
  folder: string,
  settings: readonly string[],
  options: Kills,
): Promise<void> {
  const started = performance.now();
  const start = options.start ?? startLopper;
  await undisturbed(folder, "reference", settings, start);
  const duration = performance.now() - started;
  if (options.replacing) await undisturbed(folder, "old", [...settings, "--ratio", "3"], start);
  const random = xoroshiro128plus(options.seed);
  const unit = () => uniformFloat64(random);
  const tally: Record<string, number> = {};
  const count = (what: string) => tally[what] = (tally[what] ?? 0) + 1;
  let killed = 0, runs = 0;
  while (killed < options.kills) {
    const at = `${folder}/run-${runs}`;
    await Deno.mkdir(at);
    const old = options.replacing && runs % 2 === 1 ? `${folder}/old/p` : null;
    if (old) await copyFolder(old, `${at}/p`);
    for (let isFinished = false; !isFinished;) {
      const moment = options.moments[killed % options.moments.length];
      // Once all kills are done, the last run ends in peace.
      const aim = killed < options.kills ? { moment, duration, unit } : null;
      const paired = options.pairs && killed % 2 === 1;
      const begun = !old || existsSync(`${at}/p/.lopper-next/settings.json`) || isNew(at, old);
      const args = ["prune", "--out", "p", begun ? "--resume" : "--overwrite", ...settings];
      const running = Array.from({ length: paired ? 2 : 1 }, () => start(args, at));
      const ends = await attempt(at, running, aim);
      // One that is killed beside another that has just finished leaves its lock to the next.
      isFinished = ends.every(({ signal }) => signal !== "SIGKILL");
      for (const { signal, code, stderr } of ends) {
        if (signal === "SIGKILL") {
          killed++;
          count(moment);
          if (paired) count("with another");
        } else if (paired && code !== 0) {
          assert.match(stderr, /is in use by another Lopper/);
          assert.equal(code, 1);
          count("refused");
        } else assert.equal(code, 0, stderr);
      }
      if (!isFinished) await checkWhole(`${at}/p`, `${folder}/reference/p`, old);
    }
    await checkSameResult(folder, `run-${runs}/p`, "reference/p");
    await checkSameExports(at, `${folder}/reference`);
    runs++;
  }
  console.log(`${killed} kills, ${runs} runs finished, all equal to the undisturbed one:`, tally);
}

async function undisturbed(
  folder: string,
  name: string,
  settings: readonly string[],
  start: NonNullable<Kills["start"]>,
) {
  await Deno.mkdir(`${folder}/${name}`);
  const process = start(["prune", "--out", "p", ...settings], `${folder}/${name}`);
  const { code, stderr } = await process.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

interface Aim {
  readonly moment: Moment;
  /** Of a run that nobody disturbs, ms. */
  readonly duration: number;
  readonly unit: () => number;
}

/**
 * Lets processes run on the same folder at once, and kills one of those that still run when the
 * moment has come.
 */
async function attempt(at: string, running: readonly Deno.ChildProcess[], aim: Aim | null) {
  const alive = new Set(running);
  const ends = Promise.all(running.map(async (process) => {
    const { signal, code, stderr } = await process.output();
    alive.delete(process);
    return { signal, code, stderr: new TextDecoder().decode(stderr) };
  }));
  if (aim !== null) await killAtMoment(at, alive, aim);
  return await ends;
}

async function killAtMoment(at: string, alive: Set<Deno.ChildProcess>, aim: Aim) {
  const { moment, duration, unit } = aim;
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const has = (path: string) => existsSync(`${at}/${path}`);
  const journal = () => {
    const next = `${at}/p/.lopper-next/journal.jsonl`;
    const path = existsSync(next) ? next : `${at}/p/journal.jsonl`;
    return existsSync(path) ? Deno.readTextFileSync(path) : "";
  };
  const before = journal().length;
  const come: Record<Moment, () => boolean> = {
    anywhere: () => true,
    search: () => journal().length > before,
    recovery: () => /"type":"(local|refit)"/.test(journal()),
    writing: () => filesIn(`${at}/p/.lopper-next`).some((name) => /\.safetensors\b/.test(name)),
    export: () => readdirSync(at).some((name) => name !== "p"),
  };
  while (alive.size > 0 && !come[moment]()) await pause(1);
  const within = Math.min(500, duration / 4);
  const most = { anywhere: duration, search: within, recovery: within, writing: 60, export: 800 };
  await pause(unit() * most[moment]);
  const candidates = [...alive];
  if (candidates.length === 0 || !has("")) return;
  try {
    candidates[Math.floor(unit() * candidates.length)].kill("SIGKILL");
  } catch { /* it was faster */ }
}

function filesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Compares a run with another, in the same folder. */
export async function checkSameResult(folder: string, out: string, reference = "reference") {
  await checkSameFiles(folder, out, reference);
  const page = async (run: string) =>
    tableOf(
      readPage(await Deno.readTextFile(`${folder}/${run}/report.html`)),
      "Every step of the search",
    );
  assert.deepEqual(await page(out), await page(reference));
}

/**
 * What is decided and written, to the last bit. Figures in journal and record are powers of e,
 * which V8 rounds one way or the other from version to version.
 */
export async function checkSameBytes(folder: string, out: string, reference = "reference") {
  for (const file of SAME_BYTES) {
    // Not every run has a pruning_config.json.
    const paths = [out, reference].map((run) => `${folder}/${run}/${file}`);
    const there = paths.map((path) => existsSync(path));
    assert.equal(there[0], there[1], `${file} of ${out}`);
    if (there[0]) await assertSameBytes(paths[0], paths[1], `${file} of ${out}`);
  }
}

/** `checkSameResult` without the page, which says nothing of steps where there was no search. */
export async function checkSameFiles(folder: string, out: string, reference = "reference") {
  await checkSameBytes(folder, out, reference);
  // One chain of lines from the first to the last, that of another process among them would break
  // it.
  await readJournal(`${folder}/${out}`);
  const decisions = async (run: string) =>
    (await Deno.readTextFile(`${folder}/${run}/journal.jsonl`)).trimEnd().split("\n")
      .map((line) => withoutCosts(JSON.parse(line)));
  assert.deepEqual(await decisions(out), await decisions(reference));
  const record = async (run: string) =>
    withoutCosts(JSON.parse(await Deno.readTextFile(`${folder}/${run}/run.json`)));
  assert.deepEqual(await record(out), await record(reference));
  const names = (run: string) => readdirSync(`${folder}/${run}`).sort();
  assert.deepEqual(names(out), names(reference), "nothing is left beside the result");
  const model = await openModel(new FileFolder(`${folder}/${out}`));
  model[Symbol.dispose]();
}

/** What it cost, and checksums over that: whoever is killed does some of it again. */
const COSTS = new Set(["cost", "blockTokens", "seconds", "wallSeconds", "checksum", "journal"]);

/** All that a line of a journal or a record says, but for what it cost. */
function withoutCosts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutCosts);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([key]) => !COSTS.has(key))
      .map(([key, inner]) => [key, withoutCosts(inner)]),
  );
}

/** What lies beside the folders of two runs: what they exported. */
async function checkSameExports(at: string, reference: string) {
  const folders = readdirSync(reference).filter((name) => name !== "p");
  assert.deepEqual(readdirSync(at).filter((name) => name !== "p"), folders);
  for (const folder of folders) {
    const names = readdirSync(`${reference}/${folder}`).sort();
    assert.deepEqual(readdirSync(`${at}/${folder}`).sort(), names);
    for (const name of names) {
      await assertSameBytes(`${at}/${folder}/${name}`, `${reference}/${folder}/${name}`, name);
    }
  }
}

/** Whether the run that replaces an old one is at the place already. */
function isNew(at: string, old: string): boolean {
  const [now, before] = [`${at}/p/settings.json`, `${old}/settings.json`];
  return !existsSync(now) || Deno.readTextFileSync(now) !== Deno.readTextFileSync(before);
}

/**
 * Every file under its final name is whole, whenever the run was cut off, and all of them are of
 * the same result; only the journal grows in place.
 * @param old folder of the run that this one replaces.
 */
async function checkWhole(path: string, reference: string, old: string | null) {
  const names = filesIn(path).filter((name) => !name.startsWith("."));
  // Between two results there is none; what makes one is never there before the rest of it.
  const isOld = old !== null && names.includes("run.json") &&
    await sameBytes(`${path}/run.json`, `${old}/run.json`);
  if (isOld) {
    assert.deepEqual(names.sort(), readdirSync(old!).sort(), "the old result is whole");
    for (const name of names) await assertSameBytes(`${path}/${name}`, `${old}/${name}`, name);
    return;
  }
  const isWhole = names.includes("run.json");
  for (const name of names) {
    if (name === "journal.jsonl") continue;
    // These two say how long it took.
    if (name === "run.json") JSON.parse(await Deno.readTextFile(`${path}/${name}`));
    else if (name === "report.html" && isWhole) {
      readPage(await Deno.readTextFile(`${path}/${name}`));
    } else if (isWhole || old === null) {
      await assertSameBytes(`${path}/${name}`, `${reference}/${name}`, `${name} after a kill`);
    }
  }
}

async function copyFolder(from: string, to: string) {
  await Deno.mkdir(to);
  for (const name of readdirSync(from)) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
}

/** Without drawing the difference: that of two checkpoints does not fit into memory. */
async function assertSameBytes(actual: string, expected: string, message: string) {
  assert.ok(await sameBytes(actual, expected), message);
}

async function sameBytes(a: string, b: string): Promise<boolean> {
  const [left, right] = await Promise.all([readFile(a), readFile(b)]);
  return left.equals(right);
}
