import { ENGINE_OPTIONS } from "@lopper/backends";
import {
  choice,
  HUB,
  MEMORY,
  off,
  type OptionTable,
  type OptionValues,
  OUTPUT,
  path,
  text,
  texts,
  wholeNumber,
} from "@lopper/options";
import { BOS_RULES, type BosRule } from "@lopper/tokenizers";
import { TASK_GROUPS } from "./task_names.ts";

/** Windows of the literature; a model that takes less gets its own most. */
export const DEFAULT_WINDOW = 2048;

/** What `evaluate` and `compare` both take; the help of these differs. */
function evaluationOptions(help: { readonly perplexity: string; readonly out: string }) {
  return {
    tasks: {
      form: text("names"),
      help: `comma-separated: ${TASK_GROUPS.all.join(", ")}; paper (${
        TASK_GROUPS.paper.join(", ")
      }), all; or a .jsonl file of your own questions`,
      without: "",
    },
    perplexity: {
      form: texts("path"),
      help:
        "a text to measure: .txt, .jsonl (field text), .parquet (column text), or a folder of them; may be repeated" +
        help.perplexity,
      without: [],
    },
    data: {
      form: path("dir"),
      help:
        "folder that holds the tasks' data sets; what is not there comes from the cache of Hugging Face, else from the hub",
    },
    ...HUB,
    limit: { form: wholeNumber(1), help: "ask only the first so many questions of each task" },
    seqLen: {
      form: wholeNumber(2),
      help: "tokens of a perplexity window",
      stated: `${DEFAULT_WINDOW}, or what the model takes`,
    },
    bos: {
      form: choice("which", BOS_RULES),
      help:
        "windows of a text that begin with what the tokenizer puts before a text, if anything (BOS); first, as pruning papers " +
        "have it; none leaves it out of questions, too",
      without: "each" as BosRule,
      alias: { flag: "--no-bos", value: "none" },
    },
    out: { form: path("dir"), help: help.out },
    ...MEMORY,
    ...ENGINE_OPTIONS,
    ...OUTPUT,
  } as const satisfies OptionTable;
}

/** What a command line gives of them. */
export type EvaluationFlags = OptionValues<ReturnType<typeof evaluationOptions>>;

/** Those that say what is measured. */
export type MeasureFlags = Pick<
  EvaluationFlags,
  "tasks" | "perplexity" | "data" | "offline" | "limit"
>;

/** Options of `lopper evaluate`. */
export const EVALUATE_OPTIONS = evaluationOptions({
  perplexity: "",
  out:
    "folder for the scores: what is in it is not computed again, so that a stopped evaluation goes on",
});

/** Options of `lopper compare`. */
export const COMPARE_OPTIONS = {
  ...evaluationOptions({
    perplexity: "; predictions are compared on the first one (default: the beginning of Moby Dick)",
    out:
      "folder for the scores, as evaluate keeps them, and for the comparison (report --scores reads it); a stopped comparison goes on",
  }),
  speed: {
    form: off,
    help: "leave out speed and memory, for which each model runs in a process of its own",
    without: true,
  },
} as const satisfies OptionTable;
