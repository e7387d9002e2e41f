import type { FloatDType } from "@lopper/core";
import type { OpenSink } from "@lopper/formats";
import { type Model, writeCheckpoint } from "@lopper/models";
import { convertedTensor } from "./convert.ts";
import type { WrittenExport } from "./export.ts";

export interface SafetensorsExportOptions {
  /** The dtype of every weight; without it, each keeps its own. */
  readonly dtype?: FloatDType;
  readonly maxShardBytes?: number;
}

/** How transformers writes dtypes in config.json. */
export const DTYPE_NAMES: Readonly<Record<FloatDType, string>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/**
 * Writes a model for transformers, as the result of a run is written, in another dtype perhaps.
 * @throws {ExportError} when a value does not fit into the dtype.
 */
export async function exportSafetensors(
  model: Model,
  open: OpenSink,
  { dtype, maxShardBytes }: SafetensorsExportOptions = {},
): Promise<WrittenExport> {
  const entries = model.weights.map(({ tensor }) =>
    convertedTensor(model.store, tensor, dtype ?? tensor.dtype as FloatDType)
  );
  const config = dtype === undefined ? model.config : withDType(model.config, dtype);
  return await writeCheckpoint({ ...model, config, entries }, open, maxShardBytes);
}

function withDType(
  config: Readonly<Record<string, unknown>>,
  dtype: FloatDType,
): Record<string, unknown> {
  // transformers 5 writes `dtype`, earlier ones `torch_dtype`.
  const key = "torch_dtype" in config && !("dtype" in config) ? "torch_dtype" : "dtype";
  return { ...config, [key]: DTYPE_NAMES[dtype] };
}
