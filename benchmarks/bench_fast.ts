/**
 * The fast search against the exhaustive one: block-tokens, and what the decisions are worth.
 * Exhaustive runs once, fast once for each seed (which decides on which sequences its races begin;
 * all see the same text). Runs are kept in a folder and not repeated, and those that were cut off
 * go on: exhaustive takes an hour on a model of 135 M parameters.
 */
import { keptRun, named, pruneArguments, type SearchCase, writeTexts } from "./bench_search.ts";
import { printTable, save } from "./harness.ts";

export async function benchFast(
  options: SearchCase,
  seeds: readonly number[],
  work: string,
): Promise<void> {
  await Deno.mkdir(work, { recursive: true });
  const texts = await writeTexts(work, options);
  const exhaustive = await run("exhaustive", seeds[0]);
  const runs = [];
  for (const seed of seeds) runs.push(await run("fast", seed));
  const results = [exhaustive, ...runs].map((result) => ({
    ...result,
    ofExhaustive: {
      blockTokens: result.blockTokens! / exhaustive.blockTokens!,
      calibrationPerplexity: result.calibrationPerplexity / exhaustive.calibrationPerplexity,
      heldOutPerplexity: result.heldOutPerplexity! / exhaustive.heldOutPerplexity!,
    },
  }));
  await save(`fast-${options.name}`, {
    what: "fast against exhaustive",
    case: named(options),
    results,
  });
  const percent = (share: number) => `${((share - 1) * 100).toFixed(1)} %`;
  printTable(
    [
      "search",
      "seed",
      "ratio",
      "steps",
      "block-tokens",
      "fewer",
      "calibration ppl",
      "held-out ppl",
    ],
    results.map(({ search, seed, steps, blockTokens, ofExhaustive: of, ...ppl }) => [
      search,
      search === "fast" ? seed : "",
      `${steps.at(-1)!.ratio.toFixed(2)} %`,
      steps.length,
      `${(blockTokens! / 1e6).toFixed(2)} M`,
      `${(1 / of.blockTokens).toFixed(1)}×`,
      `${ppl.calibrationPerplexity.toFixed(2)} (${percent(of.calibrationPerplexity)})`,
      `${ppl.heldOutPerplexity!.toFixed(2)} (${percent(of.heldOutPerplexity)})`,
    ]),
  );

  async function run(search: "fast" | "exhaustive", seed: number) {
    const out = `${work}/${search === "fast" ? `fast-${seed}` : search}`;
    const args = [...pruneArguments(options, search, texts), "--seed", String(seed)];
    return { search, seed, ...await keptRun(args, out) };
  }
}
