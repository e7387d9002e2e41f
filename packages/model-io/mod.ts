export * from "./byte_sink.ts";
export * from "./byte_source.ts";
export {
  configOfLayers,
  plainConfig,
  PRUNED_MODEL_TYPE,
  prunedConfig,
  specFromConfig,
} from "./config.ts";
export { configSchema, type ModelConfig } from "./config_schema.ts";
export { DECI_MODEL_TYPE, deciMultiplier, deciWidth } from "./deci_config.ts";
export * from "./decode_text.ts";
export * from "./dtypes.ts";
export { encodedPieces, encodeLongText } from "./encode_pieces.ts";
export * from "./families/family.ts";
export { FAMILIES } from "./families/mod.ts";
export { fateOf, listed } from "./folder/folder_files.ts";
export { type ChatTemplate, DEFAULT_TEMPLATE, readChatTemplates } from "./folder/chat_templates.ts";
export { byteLevelName } from "./gguf/byte_level_tokenizer.ts";
export { TEMPLATE_KEY, TEMPLATE_NAMES_KEY } from "./gguf/chat_templates.ts";
export { EOM_TEXT, EOT_TEXTS, llamaCppEnds } from "./gguf/end_tokens.ts";
export { FURTHER_TOKENS } from "./gguf/tokenizer.ts";
export { GgufFolder } from "./gguf/gguf_folder.ts";
export { type MetadataEntry, SCALAR_BYTES, VALUE_TYPES } from "./gguf/metadata.ts";
export { mergesByScore } from "./gguf/sentence_piece_tokenizer.ts";
export { ggufTensorName, isRotated } from "./gguf/tensor_names.ts";
export { openGgufModel } from "./gguf/gguf_model.ts";
export { openOnnxModel } from "./onnx/onnx_model.ts";
export * from "./input_kind.ts";
export * from "./model.ts";
export * from "./model_folder.ts";
export * from "./open_model.ts";
export * from "./companions.ts";
export * from "./write_file.ts";
export * from "./plan_json.ts";
export * from "./pruned_model.ts";
export { earlierRopeKeys } from "./rope_config.ts";
export * from "./rope_frequencies.ts";
export * from "./text_parts.ts";
export * from "./tokenizer.ts";
export { readTokenizerFiles, type TokenizerFiles } from "./tokenizer/files.ts";
export { tokenText } from "./tokenizer/schemas.ts";
export * from "./safetensors/writer.ts";
export type { TensorInfo, TensorStore } from "./tensors.ts";
