/**
 * Two checkouts of Lopper on the same runs, in alternating order: whether a change of the code
 * costs time or memory. Both have to write the same weights, or nothing is said of either.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { alternate, inTemporaryFolder, median, printTable, ROOT, save } from "./harness.ts";

interface Run {
  readonly name: string;
  /** Of `lopper prune`, without --out. */
  readonly args: readonly string[];
}

interface Round {
  readonly seconds: number;
  /** The most resident memory that the process had (VmHWM of Linux). */
  readonly peakBytes: number;
  readonly blockTokens: number;
  readonly steps: number;
  /** SHA-256 of the weights that it wrote. */
  readonly weights: string;
}

/**
 * How often the peak is read: the process's own, so that only what comes after the last reading is
 * missed.
 */
const POLL_MS = 50;

/**
 * @param before folder of the other checkout.
 * @param larger a model for a run of some ten steps, beside the embedded one's defaults.
 */
export async function benchBefore(before: string, larger: string | null, rounds: number) {
  const runs: readonly Run[] = [
    { name: "embedded", args: [] },
    ...(larger === null ? [] : [{ name: "ten steps", args: [larger, ...TEN_STEPS] }]),
  ];
  const results: Record<string, unknown> = {};
  for (const run of runs) {
    const checkouts = { before, now: fileURLToPath(ROOT) };
    const found = await alternate(
      Object.entries(checkouts).map(([name, root]) => ({ name, run: () => prune(root, run) })),
      rounds,
    );
    checkSameOutput(run.name, found.flatMap(({ rounds }) => rounds));
    const rows = found.map(({ name, rounds }) => [
      `${run.name}, ${name}`,
      median(rounds.map(({ seconds }) => seconds)).toFixed(2),
      (median(rounds.map(({ peakBytes }) => peakBytes)) / 1e6).toFixed(0),
      rounds[0].blockTokens,
      rounds[0].steps,
    ]);
    printTable(["run", "seconds", "peak MB", "block-tokens", "steps"], rows);
    results[run.name] = { args: run.args.slice(larger === null ? 0 : 1), variants: found };
  }
  await save("before", { rounds, runs: results });
}

/** Blocks, channels and heads of a model of 30 layers, ten steps of them. */
const TEN_STEPS = [
  ...["--preset", "multipruner", "--ratio", "5", "--mlp-group", "96"],
  ...["--samples", "16", "--width-samples", "8", "--seq-len", "128", "--memory", "4GB"],
];

/** Runs a checkout's command line in a process of its own. */
async function prune(root: string, { args }: Run): Promise<Round> {
  return await inTemporaryFolder(async (folder) => {
    const out = join(folder, "out");
    const main = join(root, "apps/cli/main.ts");
    const started = performance.now();
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", main, "prune", ...args, "--out", out],
      cwd: root,
      stdout: "null",
      stderr: "null",
    }).spawn();
    let peakBytes = 0, ended = false;
    const status = process.status.finally(() => ended = true);
    while (!ended) {
      peakBytes = Math.max(peakBytes, await peakOf(process.pid));
      await Promise.race([status, new Promise((resolve) => setTimeout(resolve, POLL_MS))]);
    }
    const seconds = (performance.now() - started) / 1000;
    if (!(await status).success) throw new Error(`${main} prune ${args.join(" ")} failed`);
    const record = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
    const weights = createHash("sha256");
    weights.update(await Deno.readFile(join(out, "model.safetensors")));
    return {
      seconds,
      peakBytes,
      blockTokens: record.blockTokens.spent,
      steps: record.steps,
      weights: weights.digest("hex"),
    };
  });
}

async function peakOf(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  return Number(status.match(/^VmHWM:\s+(\d+) kB/m)?.[1] ?? 0) * 1024;
}

/**
 * @throws {Error} where two of the rounds wrote other weights, or scored another number of
 *   candidates.
 */
function checkSameOutput(run: string, rounds: readonly Round[]) {
  const outputs = new Set(rounds.map(({ weights, blockTokens }) => `${weights} ${blockTokens}`));
  if (outputs.size > 1) {
    throw new Error(`${run}: not the same weights by the same work: ${[...outputs].join(", ")}`);
  }
}
