import type { MeasureFlags, Measures } from "@lopper/evaluation";
import { OWN_TASK_HELP, readMeasures } from "./evaluation_tasks.ts";
import { userHub } from "../inputs/hub.ts";
import { type Interruption, UNINTERRUPTED } from "../terminal/interrupt.ts";
import type { Reporter } from "../terminal/reporter.ts";

/** For the end of the help text. */
export const OWN_TASKS_HELP =
  `\nA line of your own questions has one of these forms:\n${OWN_TASK_HELP}\n` +
  "\nData sets are downloaded from HF_ENDPOINT (https://huggingface.co) with the token of HF_TOKEN, if any, into the\n" +
  "cache that HF_HUB_CACHE or HF_HOME name.\n";

/**
 * Reads what is to be measured.
 * @throws {UsageError} or {EvaluationError} as `readMeasures`.
 */
export async function readUserMeasures(
  { tasks, perplexity, data, offline, limit }: MeasureFlags,
  reporter: Reporter,
  interruption: Interruption = UNINTERRUPTED,
): Promise<Measures> {
  const signal = interruption.saying("stopped; the same command goes on");
  try {
    return await readMeasures({
      tasks,
      perplexity,
      data: data ?? null,
      hub: userHub(offline ?? false, interruption.signal),
      onDownload: (what, done, total) => {
        reporter.progress(what, done, total);
        signal.throwIfAborted();
      },
      limit: limit ?? null,
      onNote: (line) => reporter.note(line),
    });
  } catch (error) {
    // What was cut off fails in some way or other.
    signal.throwIfAborted();
    throw error;
  } finally {
    reporter.stop();
  }
}
