import type { Backend } from "@lopper/backends";
import type { FloatDType } from "@lopper/core";
import {
  type ExportDType,
  exportSafetensors,
  modelLogits,
  type WrittenExport,
} from "@lopper/exports";
import { type Model, openModel, type OpenSink } from "@lopper/model-io";
import { FileFolder } from "@lopper/model-io/files";

export interface FormatOptions {
  /** Without it, what the format takes by itself. */
  readonly dtype?: ExportDType;
}

/** A format that `lopper export --to` writes, and how its files are opened to verify them. */
export interface ExportFormat {
  /** What reads it, for the help text. */
  readonly readers: string;
  write(model: Model, open: OpenSink, options: FormatOptions): Promise<WrittenExport>;
  /** The precision that the result is held to. */
  precision(options: FormatOptions): ExportDType;
  /** Logits `[ids.length, vocabSize]` that the files at `path` give. */
  logits(path: string, written: WrittenExport, context: VerifyContext): Promise<Float32Array>;
}

export interface VerifyContext {
  readonly backend: Backend;
  readonly model: Model;
  readonly ids: readonly number[];
}

const FLOAT_DTYPES: Readonly<Record<ExportDType, FloatDType>> = { fp32: "F32", fp16: "F16" };

const safetensors: ExportFormat = {
  readers: "transformers, and Lopper itself",
  write: (model, open, { dtype }) =>
    exportSafetensors(model, open, { dtype: dtype && FLOAT_DTYPES[dtype] }),
  // Without a dtype the bits of the weights stay.
  precision: ({ dtype }) => dtype ?? "fp32",
  async logits(path, _written, { backend, ids }) {
    const model = await openModel(new FileFolder(path));
    try {
      return await modelLogits(backend, model, ids);
    } finally {
      model.close();
    }
  },
};

/** By the word that stands after --to. A further format is one more entry here. */
export const EXPORT_FORMATS: Readonly<Record<string, ExportFormat>> = { safetensors };
