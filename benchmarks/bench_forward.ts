/**
 * Forward + NLL throughput: Lopper native, Lopper WebAssembly with 1 and 2 threads, PyTorch; every
 * engine computes the same losses before any time is believed.
 */
import {
  alternate,
  here,
  inTemporaryFolder,
  median,
  output,
  printTable,
  type Rounds,
  save,
  script,
  tokenIds,
  type Variant,
} from "./harness.ts";

export interface ForwardOptions {
  /** Name of the results, e.g. "smollm2". */
  readonly name: string;
  readonly model: string;
  readonly lengths: readonly number[];
  /** Tokens of a pass, a multiple of every length. */
  readonly tokens: number;
  readonly rounds: number;
  /** A Python with torch and transformers, or undefined to leave PyTorch out. */
  readonly python: string | undefined;
}

interface Round {
  readonly tokensPerSecond: number;
  readonly nll: number;
  readonly blockTokens?: number;
  readonly peakResidentBytes: number;
  readonly engine: string;
}

/** Largest difference of the mean NLL, in nats, between engines that compute the same. */
const NLL_TOLERANCE = 1e-4;
/** WebAssembly takes long, and repeats tell little beside rounds. */
const REPEATS = { native: 3, wasm: 2 };
const THREADS = 2;

export async function benchForward(options: ForwardOptions): Promise<void> {
  const { name, model, lengths, tokens, rounds, python } = options;
  const results = await inTemporaryFolder(async (folder) => {
    const found: { length: number; variants: readonly Rounds<Round>[] }[] = [];
    for (const length of lengths) {
      const ids = `${folder}/ids-${length}.json`;
      await Deno.writeTextFile(ids, JSON.stringify(await tokenIds(model, tokens, length)));
      const variants = await alternate(variantsFor(model, ids, python), rounds);
      checkSame(variants);
      found.push({ length, variants });
    }
    return found;
  });
  await save(`forward-${name}`, {
    what: `forward + NLL, ${tokens} tokens a pass`,
    rounds,
    results,
  });
  printTable(
    ["engine", "length", "tokens/s (median)", "of native", "block-tokens a pass", "peak MB"],
    results.flatMap(({ length, variants }) => {
      const of = (of: (round: Round) => number, { rounds }: Rounds<Round>) =>
        median(rounds.map(of));
      const native = of((r) => r.tokensPerSecond, variants[0]);
      return variants.map((variant) => [
        variant.name,
        length,
        of((r) => r.tokensPerSecond, variant).toFixed(0),
        (of((r) => r.tokensPerSecond, variant) / native).toFixed(2),
        variant.rounds[0].blockTokens?.toFixed(0) ?? "",
        (of((r) => r.peakResidentBytes, variant) / 1e6).toFixed(0),
      ]);
    }),
  );
}

function variantsFor(model: string, ids: string, python: string | undefined): Variant<Round>[] {
  const ours = (backend: string, threads: number, repeats: number): Variant<Round> => ({
    name: `Lopper ${backend}, ${threads} thread${threads > 1 ? "s" : ""}`,
    run: async () =>
      JSON.parse(
        await script("forward.ts", [model, backend, String(threads), ids, String(repeats)]),
      ),
  });
  const variants = [
    ours("cpu", THREADS, REPEATS.native),
    ours("wasm", 1, REPEATS.wasm),
    ours("wasm", THREADS, REPEATS.wasm),
  ];
  if (python === undefined) {
    console.error("PyTorch is left out: name a Python that has it with --python");
    return variants;
  }
  const args = [here("forward_torch.py"), model, String(THREADS), ids, String(REPEATS.native)];
  variants.push({
    name: `PyTorch, ${THREADS} threads`,
    run: async () => JSON.parse(await output(python, args)),
  });
  return variants;
}

/** @throws {Error} when two engines do not compute the same. */
function checkSame(variants: readonly Rounds<Round>[]) {
  const [{ rounds: [reference] }] = variants;
  for (const { name, rounds } of variants) {
    for (const { nll } of rounds) {
      if (!(Math.abs(nll - reference.nll) < NLL_TOLERANCE)) {
        throw new Error(`${name} computes a mean NLL of ${nll}, the first engine ${reference.nll}`);
      }
    }
  }
}
