/// <reference lib="deno.worker" />
/**
 * Hears of Ctrl-C and SIGTERM for the program, whose own thread may be deep in a computation. Is
 * given shared memory for one number, which becomes 1 at the first signal, and answers "listening",
 * then "stopped".
 */
import { hearSignals } from "./signals.ts";

self.onmessage = ({ data }: MessageEvent<SharedArrayBuffer>) => {
  hearSignals(new Int32Array(data), () => self.postMessage("stopped"));
  self.postMessage("listening");
};
