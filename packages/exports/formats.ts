import type { Backend } from "@lopper/backends";
import type { FloatDType } from "@lopper/core";
import type { ModelFolder, OpenSink } from "@lopper/formats";
import { type Model, openModel } from "@lopper/models";
import { streamedLogits } from "@lopper/runtime";
import { exportDeci } from "./deci/export.ts";
import type { ExportPrecision, GgufPrecision, WrittenExport } from "./export.ts";
import { architectureByLayer } from "./gguf/architecture.ts";
import { checkGgufTokenizer, exportGguf } from "./gguf/export.ts";
import { checkPrecision } from "./half_range.ts";
import { exportOnnx, onnxFile } from "./onnx_export.ts";
import { onnxLogits } from "./onnx_logits.ts";
import { type ExportDType, type FormatName, type FormatOptions, precisionOf } from "./options.ts";
import { PiecedDecoder } from "./pieced_decoder.ts";
import type { Learnt } from "./rounding/block_rounder.ts";
import { exportSafetensors } from "./safetensors_export.ts";

/** How a format is written, and how its files are opened to verify them. */
export interface ExportFormat {
  /** @throws {ExportError} when no part of the model can be written. */
  check?(model: Model): Promise<void>;
  /**
   * What of a model cannot be written where layers differ in shape, as a clause; null for nothing.
   */
  refusesDiffering?(model: Model): string | null;
  /**
   * @param title what the model is called.
   * @param learnt what matrices are rounded by where `options` say so.
   */
  write(
    model: Model,
    open: OpenSink,
    options: FormatOptions,
    title: string,
    learnt?: Learnt,
  ): Promise<WrittenExport>;
  /** Who reads the files when they are verified. */
  readonly verifiedBy: VerifiedBy;
  /** Logits `[ids.length, vocabSize]` that the files in a folder give. */
  logits(folder: ModelFolder, context: VerifyContext): Promise<Float32Array>;
}

/**
 * Lopper's own reader of a format may share a mistake with its writer, which no comparison of the
 * two shows; onnxruntime runs a graph as it stands.
 */
export const VERIFIERS = ["lopper", "onnxruntime"] as const;
export type VerifiedBy = typeof VERIFIERS[number];

export interface VerifyContext {
  readonly backend: Backend;
  readonly model: Model;
  readonly ids: readonly number[];
  readonly options: FormatOptions;
}

const FLOAT_DTYPES: Readonly<Record<ExportDType, FloatDType>> = { fp32: "F32", fp16: "F16" };

const safetensors: ExportFormat = {
  write: (model, open, { dtype, layout }) => {
    const write = layout === "deci" ? exportDeci : exportSafetensors;
    return write(model, open, { dtype: dtype && FLOAT_DTYPES[dtype] });
  },
  verifiedBy: "lopper",
  logits: openedLogits,
};

/** What Lopper itself computes from the files, where it reads the format. */
async function openedLogits(folder: ModelFolder, { backend, ids }: VerifyContext) {
  using model = await openModel(folder);
  return await streamedLogits(backend, model, ids);
}

const onnx: ExportFormat = {
  write: (model, open, options) => exportOnnx(model, open, { precision: onnxPrecision(options) }),
  verifiedBy: "onnxruntime",
  async logits(folder, { backend, model, ids, options }) {
    const [place, file] = onnxFile(onnxPrecision(options)).split("/");
    await using decoder = await PiecedDecoder.open(backend, folder.folder(place), file);
    return await onnxLogits(decoder, model.architecture, ids);
  },
};

const gguf: ExportFormat = {
  check: checkGgufTokenizer,
  refusesDiffering: ({ architecture }) => architectureByLayer(architecture).reason,
  write: (model, open, options, title, learnt) =>
    exportGguf(model, open, {
      ...{ title, precision: ggufPrecision(options) },
      // Who asks for a precision gets all of it.
      ...(!options.dtype && !options.quantize && { quantised: options.quantised }),
      importance: options.importance,
      ...(options.rounding === "gptq" && { learnt }),
    }),
  verifiedBy: "lopper",
  logits: openedLogits,
};

function ggufPrecision(options: FormatOptions): GgufPrecision {
  const precision = precisionOf("gguf", options);
  if (isOfOnnx(precision)) throw new TypeError(`GGUF has no ${precision}`);
  return precision;
}

function onnxPrecision(options: FormatOptions): ExportPrecision {
  const precision = precisionOf("onnx", options);
  if (precision !== "fp32" && precision !== "fp16" && !isOfOnnx(precision)) {
    throw new TypeError(`ONNX has no ${precision}`);
  }
  return precision;
}

function isOfOnnx(precision: ExportPrecision | GgufPrecision): precision is "q8" | "q4" {
  return precision === "q8" || precision === "q4";
}

/**
 * The formats by their names. A further one is one more entry here, and its facts in `options.ts`.
 */
export const EXPORT_FORMATS: Readonly<Record<FormatName, ExportFormat>> = {
  safetensors,
  onnx,
  gguf,
};

/**
 * @throws {ExportError} when a format cannot hold a model; looks at its weights where few bits may
 *   be too few.
 */
export async function checkFormat(
  to: FormatName,
  model: Model,
  options: FormatOptions,
): Promise<void> {
  await EXPORT_FORMATS[to].check?.(model);
  await checkPrecision(model, precisionOf(to, options));
}
