import type { Backend, BackendDescription } from "@lopper/backends";
import { InsufficientMemoryError } from "@lopper/core";
import type { Model } from "@lopper/models";
import { type RunTools, shareMemory } from "./prepare.ts";
import type { RunFlags } from "./schemas/flags.ts";
import type { RunStore } from "./store.ts";

/**
 * Opens a backend with as many of its engines as fit: all, half of them, and so on down to one,
 * which nobody is asked about.
 * @param open with so many threads; without a number, with as many as suit the backend.
 * @param fits whether there is room for a backend of this description.
 */
export async function openFitting(
  open: (threads?: number) => Promise<Backend>,
  fits: (description: BackendDescription) => boolean,
): Promise<Backend> {
  const backend = await open();
  const { description } = backend;
  let { engines } = description;
  while (engines > 1 && !fits({ ...description, threads: engines, engines })) {
    engines = Math.floor(engines / 2);
  }
  if (engines === description.engines) return backend;
  await backend[Symbol.asyncDispose]();
  return await open(engines);
}

/**
 * Whether a run has the batches with a backend that it would have with one engine: batches decide,
 * and each engine takes memory.
 * @throws {InsufficientMemoryError} when the run does not fit with one.
 */
export function keepsBatches(
  model: Model,
  flags: RunFlags,
  tools: Pick<RunTools, "memory"> & { readonly store: Pick<RunStore, "settings" | "openScratch"> },
): (description: BackendDescription) => boolean {
  const tokens = flags.seqLen * Math.max(flags.samples, flags.widthSamples);
  const batchOf = (description: BackendDescription) =>
    shareMemory(model, tokens, flags, { ...tools, backend: { description } }).batchTokens;
  return (description) => {
    const alone = batchOf({ ...description, threads: 1, engines: 1 });
    return fitsInMemory(() => batchOf(description) === alone);
  };
}

/** What `ask` says; false where memory is short. */
export function fitsInMemory(ask: () => boolean): boolean {
  try {
    return ask();
  } catch (error) {
    if (error instanceof InsufficientMemoryError) return false;
    throw error;
  }
}
