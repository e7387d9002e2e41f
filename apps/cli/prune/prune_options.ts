import { DEMO_SAMPLES, DEMO_SEQUENCE_LENGTH } from "@lopper/demo-model";
import { ORDER_CHOICES, RANKINGS } from "@lopper/importance";
import { AS_IT_IS, CRITERIA, RUN_DEFAULTS, SETTINGS, type SettingsName } from "@lopper/run";
import { MLP_GROUPS, TECHNIQUES } from "@lopper/search";
import { type Command, Option } from "commander";
import {
  EXPORT_FORMATS,
  type ExportDType,
  exportDTypeOption,
  type Quantization,
  quantizeOption,
} from "../exporting/export_formats.ts";
import { MEMORY_DEFAULT } from "../inputs/memory_budget.ts";
import { BACKEND_HELP, threadsOption } from "../inputs/open_backend.ts";
import { decimal, MAX_SEED, percent, size, wholeNumber } from "../inputs/options.ts";
import { SELF } from "./self_calibration.ts";

/** Options of `lopper prune` as commander parses them; what was not given is undefined. */
export interface PruneOptions {
  readonly ratio?: number;
  readonly targetBytes?: number;
  readonly targetLatency?: number;
  readonly preset?: SettingsName;
  readonly distribution?: string;
  readonly mlpGroup?: number;
  readonly attentionGroup?: number;
  readonly order?: string;
  readonly recover?: string;
  readonly swap?: string;
  readonly criterion?: string;
  readonly search?: string;
  readonly fastWithout?: string;
  readonly heldOut?: string;
  readonly maxPplIncrease?: number;
  readonly calibration?: readonly string[];
  readonly calibrationWidth?: readonly string[];
  readonly samples?: number;
  readonly widthSamples?: number;
  readonly seqLen?: number;
  readonly seed?: number;
  readonly backend: string;
  readonly threads?: number;
  readonly memory?: string;
  readonly out?: string;
  readonly resume?: boolean;
  readonly overwrite?: boolean;
  readonly plan?: string;
  readonly dryRun?: boolean;
  readonly bestEffort?: boolean;
  readonly uniform?: boolean;
  readonly json?: boolean;
  readonly export?: string;
  readonly dtype?: ExportDType;
  readonly quantize?: Quantization;
}

/** More than any search can score on; a model that writes its own text would keep it in memory. */
const MAX_SAMPLES = 100_000;
/** Lopper's own settings and those that were published, for the help text. */
const [OWN, PUBLISHED] = [SETTINGS[RUN_DEFAULTS.preset], SETTINGS.multipruner];

export function addPruneOptions(command: Command): Command {
  return command
    .option(
      "--ratio <percent>",
      `parameters to remove, in per cent (default: ${RUN_DEFAULTS.ratio})`,
      percent(100),
    )
    .option(
      "--target-bytes <size>",
      "instead of --ratio: the most that the weights may take, e.g. 200MB, in the dtypes of the checkpoint",
      size,
    )
    .option(
      "--target-latency <ms>",
      "instead of --ratio: the most milliseconds that a generated token may take here, predicted from blocks that are timed first",
      decimal(0, Infinity),
    )
    .addOption(
      new Option(
        "--preset <name>",
        `settings by name: lopper's own, or published ones, which keep --order ${PUBLISHED.order} and --recover ${PUBLISHED.recover} (default: ${RUN_DEFAULTS.preset})`,
      ).choices(Object.keys(SETTINGS)),
    )
    .option(
      "--distribution <a:b:c>",
      "shares of blocks, MLP channels and heads, e.g. 44:52:4, which go one after the other then; auto: they compete by loss " +
        `per parameter, or per millisecond (default: ${OWN.distribution})`,
    )
    .option(
      "--uniform",
      "keep all layers alike, for programs that know such models only: whole layers go, and channels and heads of all layers",
    )
    .option(
      "--mlp-group <n>",
      `MLP channels that go at a time (default: about 1/${MLP_GROUPS})`,
      wholeNumber(1),
    )
    .option(
      "--attention-group <n>",
      "query channels that go at a time (default: one KV group)",
      wholeNumber(1),
    )
    .addOption(
      new Option(
        "--order <name>",
        `which channels and heads of a block go first, by ${
          RANKINGS.map(({ name, goesBy }) => `${name}: ${goesBy}`).join("; ")
        }; auto: what a trial hurts least (default: ${OWN.order})`,
      ).choices(ORDER_CHOICES),
    )
    .addOption(
      new Option(
        "--recover <name>",
        "auto: fit the output projections of what stays to the dense model's streams, where it helps on calibration text " +
          `kept aside (default: ${OWN.recover}; ${AS_IT_IS.recover} for the file of --plan)`,
      ).choices(["none", "auto"]),
    )
    .addOption(
      new Option(
        "--swap <name>",
        "auto: when the ratio is reached, give single blocks and groups back and remove others for them, as long as that " +
          `helps (default: ${OWN.swap})`,
      ).choices(["none", "auto"]),
    )
    .addOption(
      new Option(
        "--criterion <name>",
        "what candidates and repairs are judged by: perplexity of the text, as published, or kl, the divergence of their " +
          `predictions from the dense model's, which tells them apart on less text (default: ${OWN.criterion})`,
      ).choices(CRITERIA),
    )
    .addOption(
      new Option("--search <kind>", `how candidates are scored (default: ${RUN_DEFAULTS.search})`)
        .choices(["fast", "exhaustive"]),
    )
    .option(
      "--fast-without <names>",
      `switch off techniques of the fast search: ${TECHNIQUES.join(", ")}`,
    )
    .option(
      "--calibration <path>",
      `.txt, .jsonl or .parquet, or a folder of them, to score on; ${SELF}: text that the model writes itself; several ` +
        "mix: PATH=WEIGHT each, or equal shares (default: public-domain books)",
      collected,
    )
    .option(
      "--calibration-width <path>",
      "other text for channels and heads where --distribution has shares (default: the same)",
      collected,
    )
    .option(
      "--held-out <path>",
      "text that decides nothing, to measure on after every step (default: Moby Dick, at the end only)",
    )
    .option(
      "--max-ppl-increase <percent>",
      "end before perplexity rises by more, on the text of --held-out, else on the calibration text",
      percent(Infinity),
    )
    .option(
      "--samples <n>",
      `samples that are scored on (default: ${OWN.samples.block}, or ${PUBLISHED.samples.block} in the published presets; ${DEMO_SAMPLES.block} for the embedded model)`,
      wholeNumber(1, MAX_SAMPLES),
    )
    .option(
      "--width-samples <n>",
      "samples for channels and heads where --distribution has shares " +
        `(default: ${OWN.samples.width}, or ${PUBLISHED.samples.width} in the published presets; ${DEMO_SAMPLES.width} for the embedded model)`,
      wholeNumber(1, MAX_SAMPLES),
    )
    .option(
      "--seq-len <n>",
      `tokens of a sequence (default: ${OWN.sequenceLength}, or ${PUBLISHED.sequenceLength} in the published presets; ` +
        `${DEMO_SEQUENCE_LENGTH} for the embedded model; what the model takes if that is less)`,
      wholeNumber(2),
    )
    .option(
      "--seed <n>",
      `seed of the draw of samples (default: ${RUN_DEFAULTS.seed})`,
      wholeNumber(0, MAX_SEED),
    )
    .option("--backend <name>", BACKEND_HELP, "auto")
    .addOption(threadsOption())
    .option(
      "--memory <size>",
      `what the run may take, e.g. 4GB or 50% (default: ${MEMORY_DEFAULT})`,
    )
    .option("--out <dir>", "folder of the result (default: lopper-NAME-pruned here)")
    .addOption(
      new Option("--export <format>", "export the result, too, into a folder beside --out")
        .choices(Object.keys(EXPORT_FORMATS)),
    )
    .addOption(exportDTypeOption())
    .addOption(quantizeOption())
    .option("--resume", "go on with a run that was cut off")
    .option(
      "--overwrite",
      "replace an earlier run in --out, which stays until the new one is there; nothing else is replaced",
    )
    .option(
      "--plan <file>",
      "apply a lopper_plan.json, a pruning_config.json, or a run's folder (with --ratio: a part of it), without a search",
    )
    .option("--dry-run", "say what would be done and how long it takes, write nothing")
    .option("--best-effort", "when the ratio cannot be reached, go as far as it does")
    .option("--json", "print one JSON object a line")
    .addHelpText(
      "after",
      `
Examples:
  lopper prune                                       the embedded model, 20 % smaller
  lopper prune ./SmolLM2-135M --ratio 10 --out ./smol-10
  lopper prune ./SmolLM2-135M --target-bytes 200MB   as much as it takes to fit into that
  lopper prune ./SmolLM2-135M --target-latency 25    until a token takes 25 ms on this machine
  lopper prune ./SmolLM2-135M --preset blockpruner --calibration notes.txt
  lopper prune ./SmolLM2-135M --uniform              layers stay alike: a plain llama, a little smaller
  lopper prune ./SmolLM2-135M --calibration self     on text that the model writes itself
  lopper prune ./SmolLM2-135M --calibration code.jsonl=3 --calibration chat.jsonl=1   a mixture
  lopper prune model.gguf --ratio 20                 the result is a folder, in F16
  lopper prune model.gguf --export gguf --quantize q8_0   and a GGUF file beside it
  lopper prune --resume --out ./smol-10              after a power cut or Ctrl-C
  lopper prune --resume --out ./smol-10 --ratio 20   goes on from 10 % to 20 %
  lopper prune ./SmolLM2-135M --plan ./smol-10/lopper_plan.json --out ./again
  lopper prune ./SmolLM2-135M --plan ./smol-20 --ratio 15 --out ./smol-15
                                                     a part of that run, without a search
  lopper prune ./SmolLM2-135M --ratio 40 --held-out notes.txt --max-ppl-increase 10%
`,
    );
}

/** Values of an option that may be given several times. */
function collected(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...before ?? [], value];
}
