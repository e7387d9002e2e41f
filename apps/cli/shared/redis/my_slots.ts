import { createHash } from "node:crypto";
import { SLOTS } from "./places.ts";

/**
 * Which queues are a worker's, as every worker reckons it from who is there. Of as many queues in a
 * row as there are workers each has one, so that the first ones, which always have work, are shared
 * out evenly, too; which one it has is drawn by their names (rendezvous hashing, Thaler and
 * Ravishankar 1998), so that few change hands when somebody comes or goes.
 */
export function mySlots(id: string, workers: readonly string[]): ReadonlySet<number> {
  const mine = new Set<number>();
  let free: string[] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    if (free.length === 0) free = [...workers];
    if (free.length === 0) break;
    const weights = new Map(free.map((worker) => [worker, weightOf(worker, slot)]));
    const taker = free.reduce((a, b) => weights.get(b)! > weights.get(a)! ? b : a);
    free = free.filter((worker) => worker !== taker);
    if (taker === id) mine.add(slot);
  }
  return mine;
}

function weightOf(worker: string, slot: number): number {
  return createHash("sha256").update(`${worker} ${slot}`).digest().readUInt32BE();
}
