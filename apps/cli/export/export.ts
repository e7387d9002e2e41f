import { UsageError } from "@lopper/core";
import { SourceWatch } from "@lopper/files";
import { checkFormatOptions, EXPORT_OPTIONS } from "@lopper/exports";
import type { OptionValues } from "@lopper/options";
import { BOOKS, MIX } from "@lopper/run";
import { Command } from "commander";
import { checkApart } from "../shared/folder/apart.ts";
import { ExportFolder } from "../shared/exporting/export_folder.ts";
import { exportInto } from "../shared/exporting/export_into.ts";
import { roundingText } from "../shared/exporting/rounding_text.ts";
import { describeExport } from "../shared/exporting/export_output.ts";
import { importanceSource, itself, quantisedSource } from "../shared/exporting/quantised_source.ts";
import { type Interruption, UNINTERRUPTED } from "../shared/terminal/interrupt.ts";
import { addOptions } from "../shared/inputs/commander_options.ts";
import { type LocateModels, MODEL_HELP, modelLocator } from "../shared/inputs/locate_models.ts";
import { openLocated } from "../shared/inputs/open_model.ts";
import { openReporter } from "../shared/terminal/reporter.ts";
import { checkUnchanged } from "../shared/inputs/source_check.ts";
import { SAME_COMMAND, withWayOn } from "../shared/terminal/way_on.ts";

type Options = OptionValues<typeof EXPORT_OPTIONS>;

export function exportCommand(
  interruption: Interruption = UNINTERRUPTED,
  locate: LocateModels = modelLocator(),
): Command {
  const command = new Command("export")
    .description("Write a model, dense or pruned, in the form that other programs load.")
    .argument(
      "MODEL",
      `${MODEL_HELP}, or "demo" for the embedded model`,
    );
  return addOptions(command, EXPORT_OPTIONS)
    .addHelpText(
      "after",
      "\nExamples:\n  lopper export ./pruned --to safetensors --out ./pruned-hf\n" +
        "  lopper export ./pruned --to safetensors --layout deci --out ./pruned-vllm\n" +
        "  lopper export ./pruned --to onnx --dtype fp16 --out ./pruned-web\n" +
        "  lopper export ./pruned --to gguf --quantize q8_0 --out ./pruned-gguf\n" +
        "  lopper export ./pruned --to gguf --quantize q4_0 --rounding gptq --out ./pruned-q4\n" +
        "  lopper export HuggingFaceTB/SmolLM2-135M --to onnx --out ./smol-onnx\n",
    )
    .action((path: string, options: Options) => run(path, options, { interruption, locate }));
}

/**
 * Opens, writes, verifies, records; the result appears at its place only when all of that went
 * well.
 */
async function run(
  path: string,
  options: Options,
  { interruption, locate }: { interruption: Interruption; locate: LocateModels },
) {
  const { to, out, verify, backend, threads, keepQuantised, imatrix, rounding } = options;
  checkFormatOptions(to, options, "--to");
  const ofGguf = keepQuantised !== undefined ? "keep-quantised" : imatrix && "imatrix";
  if (ofGguf && to !== "gguf") {
    throw new UsageError(`--${ofGguf} goes with --to gguf, and it is --to ${to}`);
  }
  if (options.calibration !== undefined && rounding !== "gptq") {
    throw new UsageError("--calibration goes with --rounding gptq, which alone learns from a text");
  }
  using reporter = openReporter(options.json);
  const watch = new SourceWatch();
  const [located] = await locate([path], { offline: options.offline, reporter, interruption });
  using model = await openLocated(located, (note) => reporter.note(note), watch);
  try {
    await checkApart(out, located.path ?? model.folder.name);
    await using folder = await ExportFolder.open(out, options, (text) => reporter.warn(text));
    using source = keepQuantised === undefined
      ? null
      : await quantisedSource(keepQuantised, located.path ?? model.folder.name);
    const quantised = source ?? (to === "gguf" ? await itself(model) : null);
    const importance = imatrix === undefined
      ? null
      : await importanceSource(imatrix, located.path ?? model.folder.name);
    const task = {
      ...{ title: located.title, to },
      options: { ...options, ...(quantised && { quantised }), ...(importance && { importance }) },
    };
    const engine = { backend, threads };
    const record = await exportInto(model, task, {
      ...{ folder, reporter },
      engine: verify === "logits" ? engine : null,
      calibration: rounding === "gptq"
        ? {
          ...await roundingText(
            [options.calibration ?? (located.path === null ? BOOKS : MIX)],
            (note) => reporter.note(note),
          ),
          engine,
        }
        : null,
      signal: interruption.saying("stopped; nothing is written"),
      checkSource: (digest) => checkUnchanged(watch, located, digest),
    });
    await folder.commit();
    reporter.result({ out, ...record }, describeExport(record, out));
  } catch (error) {
    throw withWayOn(error, SAME_COMMAND);
  }
}
