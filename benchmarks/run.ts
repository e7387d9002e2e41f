/**
 * Measures forward + NLL throughput of the embedded model on each backend: a fresh process per variant and round, variants in
 * alternating order, outputs compared before any time is believed, raw rounds kept.
 *
 * Usage: deno task bench [ROUNDS]
 */
import { fileURLToPath } from "node:url";

interface Variant {
  readonly backend: string;
  readonly threads: number;
  readonly length: number;
}
interface Round {
  readonly tokensPerSecond: number;
  readonly blockTokens: number;
  readonly nll: number;
  readonly residentBytes: number;
  readonly engine: string;
}

/** Largest difference of the mean NLL, in nats, between two variants that compute the same. */
const NLL_TOLERANCE = 1e-4;

const rounds = Number(Deno.args[0] ?? 5);
const variants: Variant[] = [256, 512].flatMap((length) =>
  ["cpu", "wasm"].flatMap((backend) => [1, 2].map((threads) => ({ backend, threads, length })))
);

async function run(script: string, args: readonly string[]): Promise<string> {
  const command = new Deno.Command(script, { args: [...args], stderr: "piped" });
  const { success, stdout, stderr } = await command.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

const forward = fileURLToPath(new URL("forward.ts", import.meta.url));
const results = variants.map((variant) => ({ ...variant, rounds: [] as Round[] }));
for (let round = 0; round < rounds; round++) {
  const order = round % 2 === 0 ? results : results.toReversed();
  for (const { backend, threads, length, rounds } of order) {
    const args = [
      "run",
      "--quiet",
      "--allow-all",
      forward,
      backend,
      String(threads),
      String(length),
    ];
    rounds.push(JSON.parse(await run(Deno.execPath(), args)));
  }
}
for (const { length, rounds } of results) {
  const reference = results.find((other) => other.length === length)!.rounds[0];
  for (const { nll, blockTokens } of rounds) {
    if (Math.abs(nll - reference.nll) > NLL_TOLERANCE || blockTokens !== reference.blockTokens) {
      throw new Error(`variants of length ${length} disagree: ${nll} and ${reference.nll}`);
    }
  }
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const cpuModel = (await Deno.readTextFile("/proc/cpuinfo").catch(() => ""))
  .match(/model name\s*: (.*)/)?.[1] ?? "unknown";
const report = {
  what: "forward + NLL of the embedded model, 4096 tokens a pass",
  commit: await run("git", ["rev-parse", "HEAD"]).catch(() => "unknown"),
  machine: { cpu: cpuModel, cores: navigator.hardwareConcurrency, deno: Deno.version.deno },
  rounds,
  results,
};
const file = new URL("results/forward.json", import.meta.url);
await Deno.mkdir(new URL(".", file), { recursive: true });
await Deno.writeTextFile(file, JSON.stringify(report, null, 1) + "\n");
console.log(
  "| backend | threads | length | tokens/s (median) | block-tokens a pass | resident MB |",
);
console.log("| --- | ---: | ---: | ---: | ---: | ---: |");
for (const { backend, threads, length, rounds } of results) {
  const cell = (of: (round: Round) => number) => Math.round(median(rounds.map(of)));
  console.log(
    `| ${backend} | ${threads} | ${length} | ${cell((r) => r.tokensPerSecond)} | ${
      cell((r) => r.blockTokens)
    } | ${cell((r) => r.residentBytes / 1e6)} |`,
  );
}
