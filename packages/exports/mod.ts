export { compareLogits, type LogitDifference } from "./compare_logits.ts";
export type { ExportPrecision, GgufPrecision } from "./export.ts";
export { exportModel, type ExportStore, type ExportTask } from "./export_model.ts";
export {
  EXPORT_RECORD,
  type ExportRecord,
  exportRecordOf,
  type Verification,
} from "./export_record.ts";
export { exportable } from "./exportable.ts";
export { checkFormat, EXPORT_FORMATS, type VerifiedBy } from "./formats.ts";
export { exportGguf } from "./gguf/export.ts";
export type { ImportanceSource } from "./gguf/importance.ts";
export type { QuantisedSource } from "./gguf/kept_quantised.ts";
export { exportOnnx, onnxFile } from "./onnx_export.ts";
export { emptyPast, onnxLogits } from "./onnx_logits.ts";
export {
  checkFormatOptions,
  EXPORT_OPTIONS,
  FORMAT_NAMES,
  formatFacts,
  type FormatOptions,
} from "./options.ts";
export { PiecedDecoder } from "./pieced_decoder.ts";
export { DTYPE_NAMES, exportSafetensors } from "./safetensors_export.ts";
export type { RoundingText } from "./rounding/rounding_text.ts";
export { checkDifference, LOGIT_TOLERANCE } from "./verify.ts";
