import { SourceWatch } from "@lopper/files";
import { Command, Option } from "commander";
import { checkApart, sourcePath } from "../folder/apart.ts";
import { ExportFolder } from "../exporting/export_folder.ts";
import {
  checkFormatOptions,
  EXPORT_FORMATS,
  type ExportDType,
  exportDTypeOption,
  type Quantization,
  quantizeOption,
} from "../exporting/export_formats.ts";
import { exportModel } from "../exporting/export_model.ts";
import { describeExport } from "../exporting/export_record.ts";
import { threadsOption } from "../inputs/open_backend.ts";
import { type Interruption, UNINTERRUPTED } from "../terminal/interrupt.ts";
import { openUserModel } from "../inputs/open_model.ts";
import { userPath } from "../inputs/paths.ts";
import { openReporter } from "../terminal/reporter.ts";
import { checkUnchanged } from "../inputs/source_check.ts";
import { SAME_COMMAND, withWayOn } from "../terminal/way_on.ts";

interface Options {
  to: string;
  out: string;
  dtype?: ExportDType;
  quantize?: Quantization;
  layout?: "deci";
  verify: "logits" | "none";
  backend: string;
  threads?: number;
  overwrite?: boolean;
  json?: boolean;
}

export function exportCommand(interruption: Interruption = UNINTERRUPTED): Command {
  const formats = Object.entries(EXPORT_FORMATS);
  return new Command("export")
    .description("Write a model, dense or pruned, in the form that other programs load.")
    .argument(
      "MODEL",
      'folder in Hugging Face layout, GGUF or ONNX file, or "demo" for the embedded model',
    )
    .addOption(
      new Option(
        "--to <format>",
        formats.map(([name, { readers }]) => `${name} (for ${readers})`).join(", "),
      ).choices(formats.map(([name]) => name)).makeOptionMandatory(),
    )
    .requiredOption("--out <dir>", "folder for the result")
    .addOption(exportDTypeOption())
    .addOption(quantizeOption())
    .addOption(
      new Option("--layout <name>", "safetensors in DeciLM's layout, for vLLM and mlx-lm").choices([
        "deci",
      ]),
    )
    .addOption(
      new Option(
        "--verify <how>",
        "logits: open the result and compare its logits with the source's",
      ).choices(["logits", "none"]).default("logits"),
    )
    .addOption(
      new Option("--backend <name>", "engine that verifies").choices(["cpu", "wasm"]).default(
        "cpu",
      ),
    )
    .addOption(threadsOption())
    .option("--overwrite", "replace an earlier export")
    .option("--json", "print one JSON object a line")
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
    await checkApart(userPath(options.out), await sourcePath(path, model));
    const folder = await ExportFolder.open(
      userPath(options.out),
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
