import { ExportError, UsageError, VERSION } from "@lopper/core";
import { HELD_OUT_TEXT } from "@lopper/demo-model";
import {
  checkDifference,
  compareLogits,
  LOGIT_TOLERANCE,
  type LogitDifference,
  modelLogits,
  type WrittenExport,
} from "@lopper/exports";
import { type Model, modelDigest, openTokenizer, writeJson } from "@lopper/model-io";
import { Command, Option } from "commander";
import { fileURLToPath } from "node:url";
import { EXPORT_RECORD, ExportFolder } from "../export_folder.ts";
import {
  EXPORT_FORMATS,
  type ExportDType,
  type ExportFormat,
  type Quantization,
} from "../export_formats.ts";
import { formatBytes } from "../format.ts";
import { openUserBackend } from "../open_backend.ts";
import { openUserModel } from "../open_model.ts";
import { wholeNumber } from "../options.ts";
import { userPath } from "../paths.ts";
import { openReporter, type Reporter } from "../reporter.ts";

/** Held-out tokens over which an export is compared with its source. */
const VERIFY_TOKENS = 128;

interface Options {
  to: string;
  out: string;
  dtype?: ExportDType;
  quantize?: Quantization;
  verify: "logits" | "none";
  backend: string;
  threads?: number;
  overwrite?: boolean;
  json?: boolean;
}

export function exportCommand(): Command {
  const formats = Object.entries(EXPORT_FORMATS);
  return new Command("export")
    .description("Write a model, dense or pruned, in the form that other programs load.")
    .argument("MODEL", 'folder in Hugging Face layout, or "demo" for the embedded model')
    .addOption(
      new Option(
        "--to <format>",
        formats.map(([name, { readers }]) => `${name} (for ${readers})`).join(", "),
      ).choices(formats.map(([name]) => name)).makeOptionMandatory(),
    )
    .requiredOption("--out <dir>", "folder for the result")
    .addOption(
      new Option(
        "--dtype <dtype>",
        "precision of the weights (default: safetensors as they are, onnx fp32, gguf fp16)",
      )
        .choices(["fp32", "fp16"]),
    )
    .addOption(
      new Option("--quantize <bits>", "matrices in 8 or 4 bits: q8, q4 (onnx), q8_0, q4_0 (gguf)")
        .choices(["q8", "q4", "q8_0", "q4_0"])
        .conflicts("dtype"),
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
    .option("--threads <n>", "threads (default: all on cpu, 1 on wasm)", wholeNumber(1))
    .option("--overwrite", "replace an earlier export")
    .option("--json", "print one JSON object a line")
    .addHelpText(
      "after",
      "\nExamples:\n  lopper export ./pruned --to safetensors --out ./pruned-hf\n" +
        "  lopper export ./pruned --to onnx --dtype fp16 --out ./pruned-web\n" +
        "  lopper export ./pruned --to gguf --quantize q8_0 --out ./pruned-gguf\n",
    )
    .action(run);
}

/** Opens, writes, verifies, records; the result appears at its place only when all of that went well. */
async function run(path: string, options: Options) {
  const { quantize, to } = options;
  if (quantize !== undefined && !EXPORT_FORMATS[to].quantizations.includes(quantize)) {
    const known = EXPORT_FORMATS[to].quantizations;
    throw new UsageError(
      `--quantize ${quantize} does not go with --to ${to}, which takes ${
        known.length > 0 ? known.join(" or ") : "none"
      }`,
    );
  }
  const reporter = openReporter(options.json);
  const { model, title } = await openUserModel(path);
  try {
    const folder = await ExportFolder.open(userPath(options.out), options);
    try {
      const record = await writeAndVerify({ model, title, folder, options, reporter });
      await folder.commit();
      reporter.result({ out: folder.path, ...record }, describe(record, folder.path));
    } finally {
      await folder.discard();
    }
  } finally {
    reporter.stop();
    model.close();
  }
}

interface Run {
  readonly model: Model;
  readonly title: string;
  readonly folder: ExportFolder;
  readonly options: Options;
  readonly reporter: Reporter;
}

/** What export.json says. */
interface ExportRecord {
  readonly kind: "lopper-export";
  readonly schema: 1;
  readonly version: string;
  readonly source: { readonly name: string; readonly digest: string };
  readonly format: string;
  readonly dtype: ExportDType | null;
  readonly quantize: Quantization | null;
  readonly customCode: boolean;
  /** Matrices that stayed F16, since their rows are not whole blocks. */
  readonly unquantised?: readonly string[];
  readonly files: readonly string[];
  /** Bytes of all files. */
  readonly bytes: number;
  /** Null when it was not asked for. */
  readonly verification: Verification | null;
}

type Verification = LogitDifference & {
  /** Largest difference that is allowed, or null for any. */
  readonly tolerance: number | null;
  readonly engine: string;
};

async function writeAndVerify(run: Run): Promise<ExportRecord> {
  const { model, folder, options, reporter } = run;
  const format = EXPORT_FORMATS[options.to];
  // Before the work: a text that cannot be tokenised is no reason to fail after it.
  const ids = options.verify === "none" ? [] : await heldOutTokens(model);
  const open = folder.sink.bind(folder);
  reporter.say(`writing ${folder.path}`);
  const written = await format.write(model, open, options, run.title);
  const record: ExportRecord = {
    kind: "lopper-export",
    schema: 1,
    version: VERSION,
    source: { name: run.title, digest: await modelDigest(model) },
    format: options.to,
    dtype: options.dtype ?? null,
    quantize: options.quantize ?? null,
    customCode: written.customCode,
    ...(written.unquantised && { unquantised: written.unquantised }),
    files: written.files,
    bytes: await folder.bytes(written.files),
    verification: options.verify === "none" ? null : await verify(run, format, written, ids),
  };
  await writeJson(open, EXPORT_RECORD, record);
  return record;
}

/** @throws {ExportError} when the result computes something else than its source. */
async function verify(
  { model, folder, options, reporter }: Run,
  format: ExportFormat,
  written: WrittenExport,
  ids: readonly number[],
): Promise<Verification> {
  reporter.say("verifying");
  const backend = await openUserBackend(options.backend, options.threads, (m) => reporter.say(m));
  try {
    const reference = await modelLogits(backend, model, ids);
    const logits = await format.logits(folder.workPath, written, {
      backend,
      model,
      ids,
      options,
    });
    const difference = compareLogits(reference, logits, model.spec.vocabSize);
    const tolerance = LOGIT_TOLERANCE[format.precision(options)];
    checkDifference(difference, tolerance);
    return { ...difference, tolerance, engine: backend.description.engine };
  } finally {
    await backend.dispose();
  }
}

/** The first tokens of text that no search sees. @throws {ExportError} when the tokenizer finds fewer than two. */
async function heldOutTokens(model: Model): Promise<readonly number[]> {
  const { spec } = model;
  const tokenizer = await openTokenizer(model.folder);
  const text = await Deno.readTextFile(fileURLToPath(HELD_OUT_TEXT));
  const length = Math.min(VERIFY_TOKENS, spec.maxPositions, spec.slidingWindow ?? Infinity);
  const ids = tokenizer.encode(text).slice(0, length);
  const known = ids.every((id) => id < spec.vocabSize);
  if (ids.length >= 2 && known) return ids;
  throw new ExportError(
    `${model.name}: its tokenizer makes ${ids.length} tokens${
      known ? "" : ", some of them outside the vocabulary,"
    } of the held-out text, so the export cannot be verified (--verify none writes it all the same)`,
  );
}

function describe(record: ExportRecord, out: string): string {
  const { verification, files, bytes, customCode, unquantised } = record;
  const lines = [`  ${files.length} files, ${formatBytes(bytes)}, written to ${out}`];
  if (customCode) {
    lines.push("  its layers differ: transformers opens it with trust_remote_code=True");
  }
  if (unquantised) {
    lines.push(
      `  fp16 all the same, with rows that are not multiples of 32: ${unquantised.length} of the matrices`,
    );
  }
  lines.push(verification ? describeVerification(verification) : "  not verified");
  return lines.join("\n");
}

function describeVerification({ maxAbs, meanKl, sameTop, positions, engine }: Verification) {
  return `  verified on ${positions} held-out tokens (${engine}): logits differ by ${
    maxAbs.toExponential(1)
  } at most, KL divergence ${meanKl.toExponential(1)}, same top token ${
    (100 * sameTop).toFixed(1)
  } %`;
}
