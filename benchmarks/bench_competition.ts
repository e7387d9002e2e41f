/**
 * Where kinds compete: what it saves to judge candidates by the divergence from the dense model
 * instead of by the text, and to take without a race what costs about as much as the last winner,
 * and what both change.
 */
import { readRun } from "./bench_search.ts";
import { alternate, inTemporaryFolder, lopper, mean, median, printTable, save } from "./harness.ts";

const VARIANTS = [
  { name: "by divergence", flags: [] },
  { name: "by divergence, races only", flags: ["--fast-without", "threshold"] },
  { name: "by perplexity", flags: ["--criterion", "perplexity"] },
  {
    name: "by perplexity, races only",
    flags: ["--criterion", "perplexity", "--fast-without", "threshold"],
  },
];

/**
 * The embedded model, 20 % smaller, with the default settings but without repairs, which would hide
 * a difference.
 */
const ARGUMENTS = ["prune", "--ratio", "20", "--recover", "none", "--json"];

/** @param seeds as many; each is a round. */
export async function benchCompetition(seeds: number): Promise<void> {
  const results = await inTemporaryFolder(async (folder) => {
    const taken = new Map<string, number>();
    const run = async ({ name, flags }: typeof VARIANTS[number]) => {
      const seed = (taken.get(name) ?? 0) + 1;
      taken.set(name, seed);
      const out = `${folder}/run`;
      await lopper([...ARGUMENTS, ...flags, "--seed", String(seed), "--out", out, "--overwrite"]);
      return { seed, ...await readRun(out) };
    };
    return await alternate(
      VARIANTS.map((variant) => ({ name: variant.name, run: () => run(variant) })),
      seeds,
    );
  });
  await save("competition-demo", {
    what: "competition by divergence and by perplexity, with and without a threshold",
    results,
  });
  printTable(
    ["search", "block-tokens", "evaluations", "search s", "calibration ppl", "held-out ppl"],
    results.map(({ name, rounds }) => [
      name,
      `${(mean(rounds.map((r) => r.blockTokens!)) / 1e6).toFixed(2)} M`,
      mean(rounds.map((r) => r.evaluations)).toFixed(0),
      median(rounds.map((r) => r.searchSeconds)).toFixed(1),
      mean(rounds.map((r) => r.calibrationPerplexity)).toFixed(2),
      mean(rounds.map((r) => r.heldOutPerplexity!)).toFixed(2),
    ]),
  );
}
