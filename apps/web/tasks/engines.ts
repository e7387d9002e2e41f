import { type Backend, openBackend } from "@lopper/backends";
import { InsufficientMemoryError } from "@lopper/core";

/** The engine that every browser has. */
export async function openEngine(threads = 1): Promise<Backend> {
  return (await openBackend("wasm", { threads })).backend;
}

/**
 * The most threads, of those that there are cores for, that fit into memory and leave the batches
 * of a run as they are with one: batches decide, and each thread takes memory.
 * @param batchOf what a batch would be with so many threads.
 * @throws {InsufficientMemoryError} when one thread does not fit.
 */
export async function fittingThreads(
  cores: number,
  batchOf: (threads: number) => Promise<number>,
): Promise<number> {
  const alone = await batchOf(1);
  for (let threads = cores; threads > 1; threads = Math.floor(threads / 2)) {
    try {
      if (await batchOf(threads) === alone) return threads;
    } catch (error) {
      if (!(error instanceof InsufficientMemoryError)) throw error;
    }
  }
  return 1;
}
