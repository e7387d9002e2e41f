import { SourceWatch } from "@lopper/files";
import { checkFormatOptions, EXPORT_OPTIONS } from "@lopper/exports";
import type { Given } from "@lopper/options";
import { Command } from "commander";
import { checkApart, sourcePath } from "../folder/apart.ts";
import { ExportFolder } from "../exporting/export_folder.ts";
import { exportModel } from "../exporting/export_model.ts";
import { describeExport } from "../exporting/export_record.ts";
import { type Interruption, UNINTERRUPTED } from "../terminal/interrupt.ts";
import { addOptions } from "../inputs/commander_options.ts";
import { openUserModel } from "../inputs/open_model.ts";
import { openReporter } from "../terminal/reporter.ts";
import { checkUnchanged } from "../inputs/source_check.ts";
import { SAME_COMMAND, withWayOn } from "../terminal/way_on.ts";

type Options = Given<typeof EXPORT_OPTIONS>;

export function exportCommand(interruption: Interruption = UNINTERRUPTED): Command {
  const command = new Command("export")
    .description("Write a model, dense or pruned, in the form that other programs load.")
    .argument(
      "MODEL",
      'folder in Hugging Face layout, GGUF or ONNX file, or "demo" for the embedded model',
    );
  return addOptions(command, EXPORT_OPTIONS)
    .addHelpText(
      "after",
      "\nExamples:\n  lopper export ./pruned --to safetensors --out ./pruned-hf\n" +
        "  lopper export ./pruned --to safetensors --layout deci --out ./pruned-vllm\n" +
        "  lopper export ./pruned --to onnx --dtype fp16 --out ./pruned-web\n" +
        "  lopper export ./pruned --to gguf --quantize q8_0 --out ./pruned-gguf\n",
    )
    .action((path: string, options: Options) => run(path, options, interruption));
}

/** Opens, writes, verifies, records; the result appears at its place only when all of that went well. */
async function run(path: string, options: Options, interruption: Interruption) {
  const { to, verify, backend, threads } = options;
  checkFormatOptions(to, options, "--to");
  const reporter = openReporter(options.json);
  const watch = new SourceWatch();
  const { model, title } = await openUserModel(path, (note) => reporter.note(note), watch);
  try {
    await checkApart(options.out, await sourcePath(path, model));
    const folder = await ExportFolder.open(
      options.out,
      options,
      (message) => reporter.warn(message),
    );
    try {
      const check = () => interruption("stopped; nothing is written");
      const checkSource = (digest: string) => checkUnchanged(watch, path, digest);
      const tools = { reporter, check, checkSource };
      const verifier = verify === "logits" ? { backend, threads } : null;
      const parts = { model, title, folder, verifier, ...tools };
      const record = await exportModel({ ...parts, to, options });
      await folder.commit();
      reporter.result({ out: folder.path, ...record }, describeExport(record, folder.path));
    } finally {
      await folder.discard();
    }
  } catch (error) {
    throw withWayOn(error, SAME_COMMAND);
  } finally {
    reporter.stop();
    model.close();
  }
}
