/**
 * What a dry run says of time, memory and work beside what then happened: both in processes of
 * their own, one right after the other. A machine that is busy in between says nothing of the
 * times, and the same of all else.
 *
 * Usage: deno run -A benchmarks/bench_dry_run.ts NAME MODEL [options of prune]
 *        NAME: of the case in results/dry-run.json; MODEL: demo for the embedded one
 *        in the environment, FINISHED=DIR,BYTES: a run with these options that is finished, and its
 *        peak memory
 */
import { join } from "node:path";
import { here, inTemporaryFolder, printTable, provenance } from "./harness.ts";
import { textOf, watchedLopper } from "./watched.ts";

const [name, model, ...args] = Deno.args;
if (!name || !model) {
  console.error("usage: bench_dry_run.ts NAME MODEL [options of prune]");
  Deno.exit(2);
}

interface Figures {
  readonly steps: number;
  readonly blockTokens: number;
  readonly searchSeconds: number;
  readonly refitSeconds: number | null;
  readonly seconds: number;
  readonly memoryBytes: number;
}

interface Compared {
  readonly command: string;
  readonly said: Figures;
  readonly happened: Figures & { readonly journal: unknown };
}

async function compared(folder: string): Promise<Compared> {
  const out = join(folder, "out");
  const prune = ["prune", ...model === "demo" ? [] : [model], ...args, "--out", out, "--json"];
  const dry = await watchedLopper([...prune, "--dry-run"]);
  const { dryRun: said } = lastOf(dry.said);
  const [finished, peak] = Deno.env.get("FINISHED")?.split(",") ?? [];
  const run = finished ? null : await watchedLopper(prune);
  const record = JSON.parse(await Deno.readTextFile(join(finished ?? out, "run.json")));
  const lines = (await textOf(join(finished ?? out, "journal.jsonl"))).trim().split("\n").map((l) =>
    JSON.parse(l)
  );
  const spentOn = (...types: readonly string[]) =>
    lines.filter(({ type }) => types.includes(type))
      .reduce((sum, { seconds, cost }) => sum + (cost?.seconds ?? seconds), 0);
  const { spent, overhead } = record.blockTokens;
  return {
    command: `prune ${["MODEL", ...args].join(" ")}`,
    said: {
      steps: said.steps,
      blockTokens: said.blockTokens,
      searchSeconds: said.seconds,
      refitSeconds: said.refitSeconds,
      seconds: said.totalSeconds ?? null,
      memoryBytes: said.memoryBytes ?? null,
    },
    happened: {
      steps: record.steps,
      blockTokens: spent,
      searchSeconds: spentOn("step"),
      refitSeconds: spentOn("refit", "recovery", "local"),
      seconds: record.wallSeconds,
      memoryBytes: run?.peakResidentBytes ?? Number(peak),
      journal: { overhead, ranking: spentOn("ranking") },
    },
  };
}

// deno-lint-ignore no-explicit-any -- what was printed
function lastOf(said: readonly string[]): any {
  return JSON.parse(said.findLast((line) => line.includes('"dryRun"'))!);
}

const file = here("results/dry-run.json");
const cases = JSON.parse(await textOf(file) || '{"cases":{}}').cases as Record<string, Compared>;
cases[name] = await inTemporaryFolder(compared);
await Deno.writeTextFile(
  file,
  JSON.stringify({ ...await provenance(), cases }, null, 1) + "\n",
);
/** Of the time of the search: on a busy machine, too, that says how parts are reckoned. */
const share = (f: Figures, seconds: number | null) =>
  seconds === null ? "" : `${(100 * seconds / f.searchSeconds).toFixed(0)} %`;
printTable(
  ["", "", "steps", "block-tokens of the search", "refits", "all of it", "memory"],
  Object.entries(cases).flatMap(([name, { said, happened }]) =>
    ([[name, "said", said], ["", "happened", happened]] as const).map(([name, what, f]) => [
      ...[name, what, f.steps, `${(f.blockTokens / 1e6).toFixed(2)} M`],
      ...[share(f, f.refitSeconds), share(f, f.seconds), `${(f.memoryBytes / 1e9).toFixed(2)} GB`],
    ])
  ),
);
