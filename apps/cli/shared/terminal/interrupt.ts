import type { StopSignal } from "@lopper/core";
import { hearSignals } from "./signals.ts";

/** Bundled, it is JavaScript like the rest. */
const MODULE = new URL(
  import.meta.url.endsWith(".ts") ? "./interrupt_worker.ts" : "./interrupt_worker.js",
  import.meta.url,
);

/** The user wants to stop, by Ctrl-C or SIGTERM; the message says how to go on. */
export class InterruptError extends Error {}

/** What the user may want: that a command stops. */
export interface Interruption {
  /** Fires when the user wants to stop: for work of other processes, which asks nobody. */
  readonly signal: AbortSignal;
  /**
   * What work asks whether it is to stop; it throws `InterruptError` then.
   * @param hint says what stands, and how to go on from here.
   */
  saying(hint: string | (() => string)): StopSignal;
}

/** Nobody wants to stop. */
export const UNINTERRUPTED: Interruption = {
  signal: new AbortController().signal,
  saying: () => ({ throwIfAborted: () => {} }),
};

/**
 * Listens for Ctrl-C and SIGTERM as long as the process lives. The first is answered where a
 * command asks next, so that nothing is left half-written. From then on nobody listens any more: a
 * second one ends the process at once, whatever it is at. Another thread listens, since this one
 * may compute for seconds; in Node only the main one can.
 */
export async function listenForInterruption(): Promise<Interruption> {
  const stopped = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const controller = new AbortController();
  const onStop = () => controller.abort();
  if ("Worker" in globalThis) await listenInThread(stopped, onStop);
  else hearSignals(stopped, onStop);
  return {
    signal: controller.signal,
    saying: (hint) => ({
      throwIfAborted() {
        if (Atomics.load(stopped, 0) === 0) return;
        throw new InterruptError(typeof hint === "string" ? hint : hint());
      },
    }),
  };
}

async function listenInThread(stopped: Int32Array<SharedArrayBuffer>, onStop: () => void) {
  const listener = new Worker(MODULE, { type: "module" });
  listener.postMessage(stopped.buffer);
  await new Promise<void>((resolve) => {
    listener.onmessage = ({ data }) => data === "listening" ? resolve() : onStop();
  });
}
