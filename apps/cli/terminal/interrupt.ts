/** The user wants to stop, by Ctrl-C or SIGTERM; the message says how to go on. */
export class Interrupted extends Error {}

/** Asks whether to go on. */
export interface Interruption {
  /** @throws {Interrupted} once the user wants to stop; `hint` says what stands, and how to go on from here. */
  (hint: string): void;
  /** Fires when the user wants to stop: for work of other processes, which asks nobody. */
  readonly signal: AbortSignal;
}

/** Nobody wants to stop. */
export const UNINTERRUPTED: Interruption = Object.assign(() => {}, {
  signal: new AbortController().signal,
});

/**
 * Listens for Ctrl-C and SIGTERM as long as the process lives. The first is answered where a command asks next, so that
 * nothing is left half-written. From then on nobody listens any more: a second one ends the process at once, whatever it is
 * at. Another thread listens, since this one may compute for seconds.
 */
export async function listenForInterruption(): Promise<Interruption> {
  const stopped = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const controller = new AbortController();
  const listener = new Worker(new URL("./interrupt_worker.ts", import.meta.url), {
    type: "module",
  });
  listener.postMessage(stopped.buffer);
  await new Promise<void>((resolve) => {
    listener.onmessage = ({ data }) => data === "listening" ? resolve() : controller.abort();
  });
  const ask = (hint: string) => {
    if (Atomics.load(stopped, 0) === 1) throw new Interrupted(hint);
  };
  return Object.assign(ask, { signal: controller.signal });
}
