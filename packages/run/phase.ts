import type { StopSignal } from "@lopper/core";
import type { PhaseName, RunEvent } from "./events.ts";

/** What work tells of itself. All of it throws when the run is to stop. */
export interface Teller {
  readonly progress: (done: number, total: number) => void;
  readonly tell: (event: RunEvent) => void;
  readonly check: () => void;
}

/**
 * Yields what a piece of work tells while it goes on, and that it is finished. Whoever takes no
 * more events ends the work, at the next thing that it tells.
 */
export async function* phase<T>(
  name: PhaseName,
  signal: StopSignal | undefined,
  work: (teller: Teller) => Promise<T>,
): AsyncGenerator<RunEvent, T> {
  const told: RunEvent[] = [];
  let news = Promise.withResolvers<void>();
  let isOver = false;
  let isLeft = false;
  const check = () => {
    if (isLeft) throw new DOMException("nobody waits for the run any more", "AbortError");
    signal?.throwIfAborted();
  };
  const tell = (event: RunEvent) => {
    told.push(event);
    news.resolve();
    check();
  };
  const progress = (done: number, total: number) =>
    tell({ type: "progress", phase: name, done, total });
  const done = work({ progress, tell, check }).finally(() => {
    isOver = true;
    news.resolve();
  });
  // Its failure is thrown below, after what it told.
  done.catch(() => {});
  try {
    while (!isOver || told.length > 0) {
      const event = told.shift();
      if (event) yield event;
      else {
        await news.promise;
        news = Promise.withResolvers();
      }
    }
    const result = await done;
    yield { type: "finished", phase: name };
    return result;
  } finally {
    isLeft = true;
    await done.catch(() => {});
  }
}
