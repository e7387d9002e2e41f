/** Bytes and named tensors, both ways. Nothing here knows what a model is. */
export { type ByteSink, MemorySink } from "./byte_sink.ts";
export { BlobSource, type ByteSource, checkRange, MemorySource } from "./byte_source.ts";
export { decodeText } from "./decode_text.ts";
export { expandInto, fromFloat32, type HalfDType, isHalf, scaledBy, toFloat32 } from "./dtypes.ts";
export { finiteFloat32, finiteHalves } from "./finite_values.ts";
export { type GgufHeader, type GgufTensor, readGgufHeader } from "./gguf/header.ts";
export { GgufMetadata, type MetadataEntry } from "./gguf/metadata.ts";
export {
  type ImportanceEntry,
  type ImportanceMatrix,
  readImportanceMatrix,
  writeImportanceMatrix,
} from "./gguf/importance_matrix.ts";
export { type BlockGrid, encodeBlocks } from "./gguf/block_grid.ts";
export { BLOCK_GRIDS, type GridName } from "./gguf/block_grids.ts";
export { splitPart } from "./gguf/split_part.ts";
export { GgufTensorStore, type NamedTensor } from "./gguf/tensor_store.ts";
export {
  type GgufTensorEntry,
  isQuantised,
  TENSOR_TYPES,
  tensorBytes,
  type TensorTypeName,
  writeGguf,
} from "./gguf/writer.ts";
export { anyObject, checkJson, parseJson, readJson, readJsonText, readText } from "./json.ts";
export { ListedFolder, MemoryFolder } from "./listed_folder.ts";
export {
  checkFileName,
  entryNames,
  missingFile,
  type ModelFolder,
  readWholeFile,
} from "./model_folder.ts";
export { OnnxData, type TensorData } from "./onnx/data_files.ts";
export { ExternalFiles, type WeightData } from "./onnx/external_files.ts";
export {
  DOUBLE,
  FLOAT_DTYPES,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
} from "./onnx/graph.ts";
export { QUANT_BLOCK, quantizeBlocks, type QuantizedMatrix } from "./onnx/quantize_blocks.ts";
export { readOnnxGraph } from "./onnx/read_graph.ts";
export { OnnxTensorStore, type PlacedWeight } from "./onnx/tensor_store.ts";
export { isPassing, type Source, ValueFlow } from "./onnx/value_flow.ts";
export { UNQUANTISED } from "./safetensors/header.ts";
export {
  filesOfWeights,
  hasSafetensors,
  missingWeights,
  openTensorStore,
} from "./safetensors/tensor_store.ts";
export { Mxfp4Store } from "./safetensors/mxfp4_store.ts";
export type { Scratch } from "./scratch.ts";
export { planShards, type TensorEntry, writeSafetensors } from "./safetensors/writer.ts";
export { isContiguous, placeValues, type Strided, type StridedAxis, valuesOf } from "./strided.ts";
export { type TensorView, ViewedTensorStore } from "./tensor_views.ts";
export { lengthToRead, type TensorInfo, type TensorStore } from "./tensors.ts";
export {
  breath,
  bytesOf,
  endOfLines,
  endOfParagraphs,
  type TextPart,
  textParts,
} from "./text_parts.ts";
export { type OpenSink, writeFile, writeJson, writeText } from "./write_file.ts";
