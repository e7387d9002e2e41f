export { checkDeci, exportDeci } from "./deci/export.ts";
export { compareLogits, type LogitDifference } from "./compare_logits.ts";
export type { ExportPrecision, GgufPrecision, WrittenExport } from "./export.ts";
export {
  checkFormat,
  EXPORT_FORMATS,
  type ExportFormat,
  type VerifiedBy,
  VERIFIERS,
  type VerifyContext,
} from "./formats.ts";
export {
  checkFormatOptions,
  EXPORT_DTYPES,
  EXPORT_OPTIONS,
  type ExportDType,
  FORMAT_NAMES,
  formatFacts,
  type FormatName,
  type FormatOptions,
  precisionOf,
  type Quantization,
  QUANTIZATIONS,
} from "./options.ts";
export { checkPrecision } from "./half_range.ts";
export { exportSafetensors, type SafetensorsExportOptions } from "./safetensors_export.ts";
export { checkDifference, LOGIT_TOLERANCE } from "./verify.ts";
export { whyNotDeci } from "./gguf/architecture.ts";
export { exportGguf, type GgufExportOptions, type WrittenGguf } from "./gguf/export.ts";
export { exportOnnx, type OnnxExportOptions, onnxFile } from "./onnx_export.ts";
export { emptyPast, onnxLogits } from "./onnx_logits.ts";
export { PiecedDecoder } from "./pieced_decoder.ts";
export * from "./export_model.ts";
export * from "./export_record.ts";
