import type { Backend } from "@lopper/backends";
import { type FloatDType, UsageError } from "@lopper/core";
import {
  checkGgufTokenizer,
  checkPrecision,
  exportDeci,
  exportGguf,
  exportOnnx,
  type ExportPrecision,
  exportSafetensors,
  type GgufPrecision,
  onnxFile,
  onnxLogits,
  PiecedDecoder,
  whyNotDeci,
  type WrittenExport,
} from "@lopper/exports";
import { FileFolder } from "@lopper/files";
import type { OpenSink } from "@lopper/formats";
import { type Model, openModel } from "@lopper/models";
import { streamedLogits } from "@lopper/runtime";
import { Option } from "commander";
import { basename, dirname, join } from "node:path";

/** What the user asks of the weights; without it, what the format takes by itself. */
export type ExportDType = "fp32" | "fp16";
/** Bits of matrices, by the names that the readers of a format have for them. */
export type Quantization = "q8" | "q4" | "q8_0" | "q4_0";

export interface FormatOptions {
  /** How a folder for transformers is laid out; for vLLM where layers differ. */
  readonly layout?: "deci";
  readonly dtype?: ExportDType;
  readonly quantize?: Quantization;
}

/** A format that `lopper export --to` writes, and how its files are opened to verify them. */
export interface ExportFormat {
  /** What reads it, for the help text. */
  readonly readers: string;
  /** @throws {ExportError} when no part of the model can be written. */
  check?(model: Model): Promise<void>;
  /** What a model has that cannot be written where layers differ in shape, in words; null for nothing. */
  refusesDiffering?(model: Model): string | null;
  /** @param title what the model is called. */
  write(
    model: Model,
    open: OpenSink,
    options: FormatOptions,
    title: string,
  ): Promise<WrittenExport>;
  /** The precision that the result is held to. */
  precision(options: FormatOptions): ExportPrecision | GgufPrecision;
  /** The quantisations that it knows. */
  readonly quantizations: readonly Quantization[];
  /** Who reads the files when they are verified. */
  readonly verifiedBy: VerifiedBy;
  /** Logits `[ids.length, vocabSize]` that the files at `path` give. */
  logits(path: string, written: WrittenExport, context: VerifyContext): Promise<Float32Array>;
}

/**
 * Lopper's own reader of a format may share a mistake with its writer, which no comparison of the two shows; onnxruntime runs a
 * graph as it stands.
 */
export type VerifiedBy = "lopper" | "onnxruntime";

export interface VerifyContext {
  readonly backend: Backend;
  readonly model: Model;
  readonly ids: readonly number[];
  readonly options: FormatOptions;
}

const FLOAT_DTYPES: Readonly<Record<ExportDType, FloatDType>> = { fp32: "F32", fp16: "F16" };

const safetensors: ExportFormat = {
  readers: "transformers, and Lopper itself",
  write: (model, open, { dtype, layout }) => {
    const write = layout === "deci" ? exportDeci : exportSafetensors;
    return write(model, open, { dtype: dtype && FLOAT_DTYPES[dtype] });
  },
  // Without a dtype the bits of the weights stay.
  precision: ({ dtype }) => dtype ?? "fp32",
  quantizations: [],
  verifiedBy: "lopper",
  logits: openedLogits,
};

/** What Lopper itself computes from the files, where it reads the format. */
async function openedLogits(path: string, _: WrittenExport, { backend, ids }: VerifyContext) {
  const model = await openModel(new FileFolder(path));
  try {
    return await streamedLogits(backend, model, ids);
  } finally {
    model.close();
  }
}

const onnx: ExportFormat = {
  readers: "onnxruntime and transformers.js",
  write: (model, open, options) => exportOnnx(model, open, { precision: onnxPrecision(options) }),
  precision: onnxPrecision,
  quantizations: ["q8", "q4"],
  verifiedBy: "onnxruntime",
  async logits(path, _, { backend, model, ids, options }) {
    const file = onnxFile(onnxPrecision(options));
    const folder = new FileFolder(join(path, dirname(file)));
    const decoder = await PiecedDecoder.open(backend, folder, basename(file));
    try {
      return await onnxLogits(decoder, model.spec, ids);
    } finally {
      await decoder.dispose();
    }
  },
};

const gguf: ExportFormat = {
  readers: "llama.cpp",
  check: checkGgufTokenizer,
  refusesDiffering: ({ spec }) => whyNotDeci(spec),
  write: (model, open, options, title) =>
    exportGguf(model, open, { title, precision: ggufPrecision(options) }),
  precision: ggufPrecision,
  quantizations: ["q8_0", "q4_0"],
  verifiedBy: "lopper",
  logits: openedLogits,
};

function ggufPrecision({ dtype, quantize }: FormatOptions): GgufPrecision {
  if (quantize === "q8" || quantize === "q4") throw new TypeError(`GGUF has no ${quantize}`);
  return quantize ?? dtype ?? "fp16";
}

function onnxPrecision({ dtype, quantize }: FormatOptions): ExportPrecision {
  if (quantize === "q8_0" || quantize === "q4_0") {
    throw new TypeError(`onnx has no ${quantize}`);
  }
  return quantize ?? dtype ?? "fp32";
}

/** By the word that stands after --to. A further format is one more entry here. */
export const EXPORT_FORMATS: Readonly<Record<string, ExportFormat>> = { safetensors, onnx, gguf };

/** @throws {ExportError} when a format cannot hold a model; looks at its weights where few bits may be too few. */
export async function checkFormat(to: string, model: Model, options: FormatOptions): Promise<void> {
  const format = EXPORT_FORMATS[to];
  await format.check?.(model);
  await checkPrecision(model, format.precision(options));
}

/** Option --dtype of whatever exports. */
export function exportDTypeOption(): Option {
  return new Option(
    "--dtype <dtype>",
    `precision of exported weights (default: safetensors as they are, onnx ${
      onnx.precision({})
    }, gguf ${gguf.precision({})})`,
  ).choices(Object.keys(FLOAT_DTYPES));
}

/** Option --quantize of whatever exports. */
export function quantizeOption(): Option {
  const known = Object.entries(EXPORT_FORMATS).flatMap(([name, { quantizations }]) =>
    quantizations.length > 0 ? [`${quantizations.join(", ")} (${name})`] : []
  );
  return new Option("--quantize <bits>", `exported matrices in 8 or 4 bits: ${known.join(", ")}`)
    .choices(Object.values(EXPORT_FORMATS).flatMap(({ quantizations }) => quantizations))
    .conflicts("dtype");
}

/** @param option the option that names the format. @throws {UsageError} when a format does not have what is asked of it. */
export function checkFormatOptions(
  to: string,
  { quantize, layout }: FormatOptions,
  option: string,
) {
  if (layout !== undefined && to !== "safetensors") {
    throw new UsageError(
      `--layout ${layout} does not go with ${option} ${to}; it is for safetensors`,
    );
  }
  const known = EXPORT_FORMATS[to].quantizations;
  if (quantize === undefined || known.includes(quantize)) return;
  throw new UsageError(
    `--quantize ${quantize} does not go with ${option} ${to}, which takes ${
      known.length > 0 ? known.join(" or ") : "none"
    }`,
  );
}
