import { ENGINE_OPTIONS } from "@lopper/backends";
import {
  EXPORT_OPTIONS,
  FORMAT_NAMES,
  PRECISION_OPTIONS,
  type Rounding,
} from "@lopper/exports/options";
import { choice, HUB, MEMORY, on, type OptionValues, OUTPUT, path, text } from "@lopper/options";
import { SEARCH_OPTIONS } from "./search_options.ts";
import { optional } from "./setting.ts";
import { TEXT_OPTIONS } from "./text_options.ts";

const { dtype, quantize } = PRECISION_OPTIONS;
const { rounding } = EXPORT_OPTIONS;
const EXPORTED = { decides: "free", isOfEnd: true, partOf: "export" } as const;

/**
 * All options of a run, in the order of its help. From here come the command's options, the
 * settings and their schema, what is compared when a run goes on, and the command line that makes a
 * run again: a further option is one more entry.
 */
export const RUN_OPTIONS = {
  ...SEARCH_OPTIONS,
  ...TEXT_OPTIONS,
  ...ENGINE_OPTIONS,
  ...MEMORY,
  workers: {
    form: text("where"),
    help:
      "have workers score: so many on this machine, or those that take work from redis://host:port",
    conflicts: ["plan", "dryRun"],
  },
  out: {
    form: path("dir"),
    help: "folder of the result",
    stated: "lopper-NAME-pruned here",
  },
  /** What the result is exported as when the run ends. */
  export: optional(choice("format", FORMAT_NAMES), {
    help: "export the result, too, into a folder beside --out",
    decides: "free",
    isOfEnd: true,
  }),
  dtype: optional(dtype.form, { ...dtype, ...EXPORTED }),
  quantize: optional(quantize.form, { ...quantize, ...EXPORTED }),
  rounding: optional<Rounding>(rounding.form, {
    help: "of --export gguf with --quantize: gptq learns from the text of --calibration",
    stated: "nearest",
    // Runs of before there was a choice say nothing of it.
    schema: rounding.form.schema.nullable().default(null),
    ...EXPORTED,
  }),
  /** Of the model as it is now, which is why no settings keep it: whoever goes on says it again. */
  imatrix: { ...EXPORT_OPTIONS.imatrix, partOf: "export" },
  resume: { form: on, help: "go on with a run that was cut off" },
  overwrite: {
    form: on,
    help:
      "replace an earlier run in --out, which stays until the new one is there; nothing else is replaced",
  },
  plan: {
    form: path("file"),
    help:
      "apply a lopper_plan.json, a pruning_config.json, or a run's folder (with --ratio: a part of it), without a search",
  },
  dryRun: { form: on, help: "say what would be done and how long it takes, write nothing" },
  ...HUB,
  ...OUTPUT,
} as const;

/** What a command line gives of them. */
export type GivenRunOptions = OptionValues<typeof RUN_OPTIONS>;

type Table = typeof RUN_OPTIONS;
/** Keys of the options that settings hold. */
export type SettingKey = {
  [K in keyof Table]: Table[K] extends { readonly usual: unknown } ? K : never;
}[keyof Table];
