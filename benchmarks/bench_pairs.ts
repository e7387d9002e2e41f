/**
 * The fast search against the exhaustive one by the default settings: for each seed, which draws
 * other text, a run of each. Runs are kept in a folder and not repeated; one that was cut off goes
 * on.
 *
 * Usage: deno run -A benchmarks/bench_pairs.ts WORK [SEED…] [-- options of prune]
 *        SEED: 42, 1 and 2 where none is named; MODEL: the embedded one unless the options say one
 */
import { join } from "node:path";
import { keptRun } from "./bench_search.ts";
import { printTable, save } from "./harness.ts";

const [work, ...rest] = Deno.args;
if (!work) {
  console.error("usage: bench_pairs.ts WORK [SEED…] [-- options of prune]");
  Deno.exit(2);
}
const cut = rest.includes("--") ? rest.indexOf("--") : rest.length;
const [given, options] = [rest.slice(0, cut), rest.slice(cut + 1)];
const seeds = given.length > 0 ? given : ["42", "1", "2"];

function ran(search: "fast" | "exhaustive", seed: string) {
  const args = ["prune", ...options, "--search", search, "--seed", seed];
  return keptRun(args, join(work, `${search}-${seed}`));
}

const pairs = [];
for (const seed of seeds) {
  pairs.push({ seed, fast: await ran("fast", seed), exhaustive: await ran("exhaustive", seed) });
}
await save("pairs", { what: "fast against exhaustive by the default settings", options, pairs });
const percent = (part: number, of: number) => `${((part / of - 1) * 100).toFixed(2)} %`;
printTable(
  ["seed", "exhaustive", "fast", "fewer", "calibration ppl", "held-out ppl"],
  pairs.map(({ seed, fast, exhaustive }) => {
    const spent = [exhaustive, fast].map(({ blockTokens }) => blockTokens!);
    const both = (of: "calibrationPerplexity" | "heldOutPerplexity") => {
      const [a, b] = [exhaustive[of]!, fast[of]!];
      return `${a.toFixed(2)}, ${b.toFixed(2)} (${percent(b, a)})`;
    };
    return [
      seed,
      ...spent.map((tokens) => `${(tokens / 1e6).toFixed(2)} M`),
      `${(spent[0] / spent[1]).toFixed(1)}×`,
      both("calibrationPerplexity"),
      both("heldOutPerplexity"),
    ];
  }),
);
