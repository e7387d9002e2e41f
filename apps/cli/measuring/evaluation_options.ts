import type { Command } from "commander";
import { type Measures, OWN_TASK_HELP, readMeasures, TASK_GROUPS } from "./evaluation_tasks.ts";
import { userHub } from "./hub.ts";
import { type Interruption, UNINTERRUPTED } from "../terminal/interrupt.ts";
import { MEMORY_DEFAULT } from "../inputs/memory_budget.ts";
import { BACKEND_HELP, threadsOption } from "../inputs/open_backend.ts";
import { DEFAULT_WINDOW, type EvaluationOptions } from "./open_measured.ts";
import { wholeNumber } from "../inputs/options.ts";
import { userPath } from "../inputs/paths.ts";
import type { Reporter } from "../terminal/reporter.ts";

/** What says what is measured. */
export interface MeasureFlags {
  tasks: string;
  perplexity: readonly string[];
  data?: string;
  offline?: boolean;
  limit?: number;
}

/** What `evaluate` and `compare` both take. */
export interface EvaluationFlags extends MeasureFlags, EvaluationOptions {
  out?: string;
  json?: boolean;
}

/** Adds the options that say what is measured, and how. */
export function addEvaluationOptions(
  command: Command,
  help: { readonly perplexity: string; readonly out: string },
): Command {
  const collect = (value: string, earlier: readonly string[]) => [...earlier, value];
  return command
    .option(
      "--tasks <names>",
      `comma-separated: ${TASK_GROUPS.all.join(", ")}; paper (${
        TASK_GROUPS.paper.join(", ")
      }), all; or a .jsonl file of your own questions`,
      "",
    )
    .option(
      "--perplexity <path>",
      "a text to measure: .txt, .jsonl (field text), .parquet (column text), or a folder of them; may be repeated" +
        help.perplexity,
      collect,
      [],
    )
    .option(
      "--data <dir>",
      "folder that holds the tasks' data sets; what is not there comes from the cache of Hugging Face, else from the hub",
    )
    .option("--offline", "download nothing")
    .option("--limit <n>", "ask only the first so many questions of each task", wholeNumber(1))
    .option(
      "--seq-len <n>",
      `tokens of a perplexity window (default: ${DEFAULT_WINDOW}, or what the model takes)`,
      wholeNumber(2),
    )
    .option("--no-bos", "leave out the special tokens that the tokenizer puts before a text")
    .option("--out <dir>", help.out)
    .option(
      "--memory <size>",
      `memory that it may take, e.g. 4GB or 50% (default: ${MEMORY_DEFAULT})`,
    )
    .option("--backend <name>", BACKEND_HELP, "auto")
    .addOption(threadsOption())
    .option("--json", "print one JSON object a line");
}

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
  try {
    return await readMeasures({
      tasks,
      perplexity,
      data: data === undefined ? null : userPath(data),
      hub: userHub(offline ?? false),
      onDownload: (what, done, total) => {
        reporter.progress(what, done, total);
        interruption("stopped; the same command goes on");
      },
      limit: limit ?? null,
      onNote: (line) => reporter.note(line),
    });
  } finally {
    reporter.stop();
  }
}
