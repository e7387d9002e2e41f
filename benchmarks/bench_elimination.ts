/**
 * What an order of an MLP's channels takes that counts on the others' making up for what goes, and
 * a fit of its outputs.
 */
import { median, printTable, save, script } from "./harness.ts";

interface Result {
  /** Of summing the moments of all tokens. */
  readonly gramSeconds: number;
  readonly seconds: number;
  readonly peakResidentBytes: number;
  readonly sumOff: number;
  readonly halfGone: number;
  readonly refit: {
    readonly factorSeconds: number;
    readonly solveSeconds: number;
    /** ‖HW − C‖ / ‖C‖ */
    readonly residual: number;
    readonly peakResidentBytes: number;
  };
  readonly halfGoneInDouble?: number;
  readonly halfGoneByEnergy?: number;
}

/** Of SmolLM2-135M, of Qwen2.5-0.5B, and of a model with 7 B parameters. */
const SIZES = [
  { channels: 1536, outputs: 576, large: false },
  { channels: 4864, outputs: 896, large: false },
  { channels: 11_008, outputs: 4096, large: true },
];
const TOKENS = 8192;

/** @param rounds of what is not large; what is, is measured once, and only with `wide`. */
export async function benchElimination(rounds: number, wide: boolean): Promise<void> {
  const cases = [];
  for (const { channels, outputs, large } of SIZES.filter(({ large }) => wide || !large)) {
    const results: Result[] = [];
    for (let round = 0; round < (large ? 1 : rounds); round++) {
      const args = [channels, outputs, TOKENS].map(String);
      results.push(JSON.parse(await script("elimination.ts", args)));
      console.error(`${channels} channels: ${results.at(-1)!.seconds.toFixed(1)} s`);
    }
    cases.push({ channels, outputs, rounds: results });
  }
  await save("elimination", {
    what: "one MLP's channels in order by what the others cannot make up for",
    tokens: TOKENS,
    cases,
  });
  const share = (value: number | undefined) => value === undefined ? "" : value.toFixed(4);
  printTable(
    [
      "channels",
      "outputs",
      "moments s",
      "order s",
      "peak GB",
      "lost with half of them",
      "by least squares in double",
      "in the order by energy",
      "fit: factor s",
      "solve s",
      "off by",
    ],
    cases.map(({ channels, outputs, rounds }) => {
      const [first] = rounds;
      const seconds = (of: (result: Result) => number) => median(rounds.map(of)).toFixed(1);
      return [
        channels,
        outputs,
        seconds(({ gramSeconds }) => gramSeconds),
        seconds((result) => result.seconds),
        (first.peakResidentBytes / 1e9).toFixed(2),
        share(first.halfGone),
        share(first.halfGoneInDouble),
        share(first.halfGoneByEnergy),
        seconds(({ refit }) => refit.factorSeconds),
        seconds(({ refit }) => refit.solveSeconds),
        first.refit.residual.toExponential(1),
      ];
    }),
  );
}
