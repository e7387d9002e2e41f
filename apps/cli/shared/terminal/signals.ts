import process from "node:process";
import { tell, tellLines } from "./terminal.ts";

/** Windows has no other that a program could hear of. */
const SIGNALS = process.platform === "win32" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const;

/**
 * `deno task` hands on what the terminal has sent already: signals so close together, in
 * milliseconds, are one.
 */
const ONE_PRESS = 250;

/**
 * Hears of Ctrl-C and SIGTERM: at the first, `stopped` becomes 1 and `onStop` is called; then
 * nobody listens any more.
 */
export function hearSignals(stopped: Int32Array, onStop: () => void) {
  const onSignal = () => {
    if (Atomics.exchange(stopped, 0, 1) === 1) return;
    onStop();
    setTimeout(stopListening, ONE_PRESS);
  };
  const stopListening = () => {
    // Where nobody listens the system ends the process.
    for (const signal of SIGNALS) process.removeListener(signal, onSignal);
    tellLines();
    tell("stopping where nothing is lost; once more, and it ends at once");
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
}
