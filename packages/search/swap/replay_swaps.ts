import { ResumeError } from "@lopper/core";
import type { SwapPair } from "./swap_pairs.ts";
import type { SwapEvent, SwapOptions, TriedSwaps } from "./swap_state.ts";
import type { SwapTrial } from "../journal_lines.ts";

/**
 * Believes what an earlier run tried, up to the first swap that it kept.
 * @param number how many swaps were tried before.
 * @throws {ResumeError} when it tried what cannot be tried here.
 */
export async function* replaySwaps(
  pairs: readonly SwapPair[],
  trials: readonly SwapTrial[],
  number: number,
  gauge: SwapOptions["gauge"],
): AsyncGenerator<SwapEvent, TriedSwaps> {
  const refused: SwapPair[] = [];
  for (const [i, line] of trials.entries()) {
    const pair = pairs.find((pair) => isNamed(pair, line));
    if (!pair || pair.ratio !== line.ratio) throw foreign(line);
    if (line.kept) yield* gauge(number + i, pair.both.shape);
    yield { type: "swap", line, resumed: true };
    if (line.kept) return { taken: { pair, line }, refused, lines: trials.slice(0, i + 1) };
    refused.push(pair);
  }
  return { taken: null, refused, lines: trials };
}

export function namesOf({ restored, removed }: SwapPair): Pick<SwapTrial, "restored" | "removed"> {
  return { restored: restored.key, removed: removed && removed.key };
}

function isNamed(pair: SwapPair, { restored, removed, kept }: SwapTrial): boolean {
  const names = namesOf(pair);
  return names.restored === restored && names.removed === removed &&
    (kept === null || JSON.stringify(kept) === JSON.stringify(pair.both.changes));
}

export function foreign({ steps, restored }: SwapTrial): ResumeError {
  return new ResumeError(
    `the journal has a swap after step ${steps} that gives back ${restored}, which this search cannot try there; it is of another search (start again with --overwrite)`,
  );
}
