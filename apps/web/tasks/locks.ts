import { LopperError } from "@lopper/core";

const lockName = (id: string) => `lopper-run-${id}`;

/**
 * Does something to a run while nobody else does. @throws {LopperError} when another tab has it.
 */
export async function withRun<T>(id: string, work: () => Promise<T>): Promise<T> {
  return await navigator.locks.request(lockName(id), { ifAvailable: true }, async (lock) => {
    if (lock) return await work();
    throw new LopperError("Another tab works on this run; close it, or wait until it is done");
  });
}

/** Names of what tabs of this page have taken. */
export async function takenLocks(): Promise<ReadonlySet<string>> {
  const { held = [] } = await navigator.locks.query();
  return new Set(held.map(({ name }) => name!));
}

export function isTaken(taken: ReadonlySet<string>, id: string): boolean {
  return taken.has(lockName(id));
}
