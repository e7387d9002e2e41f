/** Each technique of the fast search alone: what it saves in block-tokens, and what it changes. */
import { named, pruneArguments, readRun, type SearchCase, writeTexts } from "./bench_search.ts";
import { inTemporaryFolder, lopper, mean, printTable, save } from "./harness.ts";

const VARIANTS = [
  { name: "exhaustive", search: "exhaustive", without: "" },
  { name: "fast", search: "fast", without: "" },
  ...["racing", "lazy", "proxies", "reuse"].map((technique) => ({
    name: `fast without ${technique}`,
    search: "fast",
    without: technique,
  })),
  ...["racing", "lazy", "proxies"].map((technique) => ({
    name: `${technique} alone`,
    search: "fast",
    without: ["racing", "lazy", "proxies"].filter((other) => other !== technique).join(","),
  })),
];

export async function benchTechniques(
  options: SearchCase,
  seeds: readonly number[],
): Promise<void> {
  const results = await inTemporaryFolder(async (folder) => {
    const texts = await writeTexts(folder, options);
    const found = [];
    for (const { name, search, without } of VARIANTS) {
      const runs = [];
      for (const seed of search === "fast" ? seeds : seeds.slice(0, 1)) {
        const out = `${folder}/run`;
        const args = [...pruneArguments(options, search, texts), "--seed", String(seed)];
        if (without !== "") args.push("--fast-without", without);
        await lopper([...args, "--out", out, "--overwrite"]);
        runs.push({ seed, ...await readRun(out) });
      }
      found.push({ name, runs });
      console.error(`${name}: ${runs.map((r) => (r.blockTokens! / 1e6).toFixed(2)).join(", ")} M`);
    }
    return found;
  });
  await save(`techniques-${options.name}`, {
    what: "each technique of the fast search",
    case: named(options),
    seeds,
    results,
  });
  const [exhaustive] = results[0].runs;
  printTable(
    ["search", "block-tokens", "of exhaustive", "evaluations", "calibration ppl", "held-out ppl"],
    results.map(({ name, runs }) => {
      const of = (of: (run: typeof exhaustive) => number) => mean(runs.map(of));
      const blockTokens = of((r) => r.blockTokens!);
      return [
        name,
        `${(blockTokens / 1e6).toFixed(2)} M`,
        (blockTokens / exhaustive.blockTokens!).toFixed(3),
        of((r) => r.evaluations).toFixed(0),
        of((r) => r.calibrationPerplexity).toFixed(2),
        of((r) => r.heldOutPerplexity!).toFixed(2),
      ];
    }),
  );
}
