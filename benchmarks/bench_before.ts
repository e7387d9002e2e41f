/**
 * Two checkouts of Lopper on the same runs, in alternating order: whether a change of the code
 * costs time or memory. Both have to write the same weights, or nothing is said of either.
 */
import { CALIBRATION_TEXT } from "@lopper/demo-model";
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { alternate, inTemporaryFolder, median, printTable, ROOT, save } from "./harness.ts";
import { watchedLopper } from "./watched.ts";

interface Run {
  /** Of its file in results/. */
  readonly name: string;
  /** Null for the embedded model. */
  readonly model: string | null;
  /** Of `lopper prune`, without the model and --out. */
  readonly flags: readonly string[];
}

interface Round {
  readonly seconds: number;
  /** That all cores spent on it, which what else runs on the machine changes less. */
  readonly processorSeconds: number;
  /** The most resident memory that the process had (VmHWM of Linux). */
  readonly peakBytes: number;
  readonly blockTokens: number;
  readonly steps: number;
  /** SHA-256 of the weights that it wrote. */
  readonly weights: string;
}

/**
 * @param before folder of the other checkout.
 * @param models each for a run of a few steps; without any it is the embedded one by its
 *   defaults.
 */
export async function benchBefore(before: string, models: readonly string[], rounds: number) {
  const larger = models.map((model) => ({
    name: `before-${basename(model)}`,
    ...{ model, flags: FEW_STEPS },
  }));
  const embedded = { name: "before-embedded", model: null, flags: [] };
  const checkouts = { before, now: fileURLToPath(ROOT) };
  for (const run of models.length > 0 ? larger : [embedded]) {
    const variants = await alternate(
      Object.entries(checkouts).map(([name, root]) => ({ name, run: () => prune(root, run) })),
      rounds,
    );
    checkSameOutput(run.name, variants.flatMap(({ rounds }) => rounds));
    const rows = variants.map(({ name, rounds }) => [
      `${run.name}, ${name}`,
      median(rounds.map(({ seconds }) => seconds)).toFixed(2),
      median(rounds.map(({ processorSeconds }) => processorSeconds)).toFixed(2),
      (median(rounds.map(({ peakBytes }) => peakBytes)) / 1e6).toFixed(0),
      rounds[0].blockTokens,
      rounds[0].steps,
    ]);
    printTable(["run", "seconds", "of processors", "peak MB", "block-tokens", "steps"], rows);
    await save(run.name, { rounds, flags: run.flags.map((flag) => basename(flag)), variants });
  }
}

/** Short, so that most of a run's time is its search's. */
const HELD_OUT = fileURLToPath(new URL("tests/fixtures/held_out.txt", ROOT));
/** Blocks, channels and heads, scored and measured on the same texts by every checkout. */
const FEW_STEPS = [
  ...["--preset", "multipruner", "--ratio", "12", "--mlp-group", "96"],
  ...["--samples", "16", "--width-samples", "8", "--seq-len", "128", "--memory", "4GB"],
  ...["--calibration", fileURLToPath(CALIBRATION_TEXT)],
  ...["--held-out", HELD_OUT],
];

/** Runs a checkout's command line in a process of its own. */
async function prune(root: string, { model, flags }: Run): Promise<Round> {
  return await inTemporaryFolder(async (folder) => {
    const out = join(folder, "out");
    const args = ["prune", ...(model === null ? [] : [model]), ...flags];
    const run = await watchedLopper([...args, "--out", out], { root });
    if (run.exitCode !== 0) throw new Error(`${root}: ${args.join(" ")}: ${run.said.join("\n")}`);
    const record = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
    const weights = createHash("sha256");
    weights.update(await Deno.readFile(join(out, "model.safetensors")));
    return {
      seconds: run.seconds,
      processorSeconds: run.processorSeconds,
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
