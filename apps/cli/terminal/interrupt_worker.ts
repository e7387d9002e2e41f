/// <reference lib="deno.worker" />
/**
 * Hears of Ctrl-C and SIGTERM for the program, whose own thread may be deep in a computation.
 * Is given shared memory for one number, which becomes 1 at the first signal, and answers "listening", then "stopped".
 */
import { tell, tellLines } from "./terminal.ts";

/** Windows has no other that a program could hear of. */
const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];

/** `deno task` hands on what the terminal has sent already: signals so close together, in milliseconds, are one. */
const ONE_PRESS = 250;

self.onmessage = ({ data }: MessageEvent<SharedArrayBuffer>) => {
  const stopped = new Int32Array(data);
  const onSignal = () => {
    if (Atomics.exchange(stopped, 0, 1) === 1) return;
    self.postMessage("stopped");
    setTimeout(stopListening, ONE_PRESS);
  };
  const stopListening = () => {
    // Where nobody listens the system ends the process.
    for (const signal of SIGNALS) Deno.removeSignalListener(signal, onSignal);
    tellLines();
    tell("stopping where nothing is lost; once more, and it ends at once");
  };
  for (const signal of SIGNALS) Deno.addSignalListener(signal, onSignal);
  self.postMessage("listening");
};
