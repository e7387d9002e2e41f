/**
 * Two checkouts of Lopper on the same runs, in alternating order: whether a change of the code
 * costs time or memory. Both have to write the same weights, or nothing is said of either.
 */
import { CALIBRATION_TEXT } from "@lopper/demo-model";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { alternate, inTemporaryFolder, median, printTable, ROOT, save } from "./harness.ts";
import { watchedLopper } from "./watched.ts";

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

/**
 * Blocks, channels and heads of a model of 30 layers, some ten steps of them, on a text that every
 * checkout has.
 */
const TEN_STEPS = [
  ...["--preset", "multipruner", "--ratio", "5", "--mlp-group", "96"],
  ...["--samples", "16", "--width-samples", "8", "--seq-len", "128", "--memory", "4GB"],
  ...["--calibration", fileURLToPath(CALIBRATION_TEXT)],
];

/** Runs a checkout's command line in a process of its own. */
async function prune(root: string, { args }: Run): Promise<Round> {
  return await inTemporaryFolder(async (folder) => {
    const out = join(folder, "out");
    const run = await watchedLopper(["prune", ...args, "--out", out], { root });
    if (run.exitCode !== 0) throw new Error(`${root}: prune ${args.join(" ")} failed`);
    const record = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
    const weights = createHash("sha256");
    weights.update(await Deno.readFile(join(out, "model.safetensors")));
    return {
      seconds: run.seconds,
      peakBytes: run.peakResidentBytes,
      blockTokens: record.blockTokens.spent,
      steps: record.steps,
      weights: weights.digest("hex"),
    };
  });
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
