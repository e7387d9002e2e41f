import { choice, type OptionTable, wholeNumber } from "@lopper/options";
import { BACKEND_NAMES } from "./open_backend.ts";

/**
 * Threads that an engine may have: on more than a few for each core they only wait for each other,
 * and each takes memory.
 */
export const MAX_THREADS = Math.max(8, 4 * navigator.hardwareConcurrency);

/** What a model runs on. */
export const ENGINE_OPTIONS = {
  backend: {
    form: choice("name", ["auto", ...BACKEND_NAMES]),
    help: "engine that computes",
    without: "auto",
  },
  threads: {
    form: wholeNumber(1, MAX_THREADS, `this machine has ${navigator.hardwareConcurrency} cores`),
    help: "threads",
    stated: "all cores",
  },
} as const satisfies OptionTable;
