/** What an order of an MLP's channels takes that counts on the others' making up for what goes, and a fit of its outputs. */
import { printTable, save, script } from "./harness.ts";

interface Result {
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

/** Of SmolLM2-135M, and of a model with 7 B parameters. */
const SIZES = [
  { channels: 1536, outputs: 576 },
  { channels: 11_008, outputs: 4096 },
] as const;
const TOKENS = 8192;

/** @param rounds of the small size; the large one is measured once, and only with `wide`. */
export async function benchElimination(rounds: number, wide: boolean): Promise<void> {
  const cases = [];
  for (const { channels, outputs } of wide ? SIZES : SIZES.slice(0, 1)) {
    const results: Result[] = [];
    for (let round = 0; round < (channels === SIZES[0].channels ? rounds : 1); round++) {
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
      "s",
      "peak GB",
      "lost with half of them",
      "by least squares in double",
      "in the order by energy",
      "fit: factor s",
      "solve s",
      "off by",
    ],
    cases.map(({ channels, outputs, rounds: [{ ...first }, ...others] }) => [
      channels,
      outputs,
      Math.min(first.seconds, ...others.map(({ seconds }) => seconds)).toFixed(1),
      (first.peakResidentBytes / 1e9).toFixed(2),
      share(first.halfGone),
      share(first.halfGoneInDouble),
      share(first.halfGoneByEnergy),
      first.refit.factorSeconds.toFixed(1),
      first.refit.solveSeconds.toFixed(1),
      first.refit.residual.toExponential(1),
    ]),
  );
}
