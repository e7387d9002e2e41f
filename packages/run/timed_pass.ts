import type { Shape } from "@lopper/core";
import type { Scorer } from "@lopper/importance";

/** Enough batches for a rate have run after so many seconds. */
const TIMED_SECONDS = 10;

/** A forward pass of a model over some of a text. */
export interface TimedPass {
  /** Mean NLL of each sequence, in nats per token. */
  readonly nll: readonly number[];
  readonly secondsPerToken: number;
}

/**
 * Times a model on a text, batch by batch until the rate is known.
 * @param now milliseconds of a clock that only goes forward.
 * @param onProgress hears of the seconds timed, and those to be timed; may throw to stop.
 */
export async function timedPass(
  scorer: Scorer,
  shape: Shape,
  now: () => number,
  onProgress: (done: number, total: number) => void,
): Promise<TimedPass> {
  // Compiling graphs is no part of the rate, and what this leaves of a batch would hide its blocks.
  await scorer.score(shape, null, 0);
  scorer.release();
  const started = now();
  const seconds = () => (now() - started) / 1000;
  const nll: number[] = [];
  for (let batch = 0; batch < scorer.batches.length && seconds() < TIMED_SECONDS; batch++) {
    onProgress(seconds(), TIMED_SECONDS);
    nll.push(...await scorer.score(shape, null, batch));
  }
  return { nll, secondsPerToken: seconds() / (nll.length * scorer.length) };
}
