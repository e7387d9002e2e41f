/** Checkpoints of any format opened as models, and written. */
export { copyCompanions, copyTerms } from "./companions.ts";
export { architectureFromConfig } from "./config.ts";
export { withOwnKeys } from "./config_defaults.ts";
export { checkConfig } from "./config_kind.ts";
export { configSchema } from "./config_schema.ts";
export { DECI_MODEL_TYPE, deciMultiplier, deciWidth } from "./deci_config.ts";
export { blockTensorName, type Family } from "./families/family.ts";
export {
  blocksOfLayers,
  type LayerSizes,
  layersOfBlocks,
  prunedSizes,
} from "./families/layer_blocks.ts";
export { digestForm } from "./digest_form.ts";
export { FAMILIES } from "./families/mod.ts";
export { WRAPPERS } from "./families/wrappers.ts";
export { fateOf, listed } from "./folder/folder_files.ts";
export { hubOrigin } from "./folder/hub_snapshot.ts";
export { GgufFolder } from "./gguf/gguf_folder.ts";
export { openGgufModel } from "./gguf/gguf_model.ts";
export type { GgufArchitecture, GgufFacts } from "./gguf/architecture.ts";
export {
  architectureFor,
  architectureNamed,
  GGUF_MODEL_TYPES,
} from "./gguf/known_architectures.ts";
export {
  FACTOR_KEY,
  LEADING_KEY,
  RENORMALISED_KEY,
  TOP_GROUPS_KEY,
} from "./gguf/architectures/expert_settings.ts";
export { areInterleaved, hasShiftedGains } from "./gguf/layout_of_weights.ts";
export { SLIDING_THETA } from "./gguf/rope_settings.ts";
export { SCALING, TEMPERATURE_KEY, yarnMagnitude } from "./gguf/scaling_settings.ts";
export {
  FACTOR_TENSORS,
  ggufTensorName,
  isGain,
  isRotated,
  packedTensor,
} from "./gguf/tensor_names.ts";
export { epsilonKey } from "./gguf/usual_keys.ts";
export { mayHaveWindows, PATTERN_KEY, slidesBy, WINDOW_KEY } from "./gguf/window_settings.ts";
export {
  declaredTensors,
  type Model,
  modelDigest,
  outerWeight,
  type Weight,
  type WeightRole,
  weightsOfBlock,
} from "./model.ts";
export { openOnnxModel } from "./onnx/onnx_model.ts";
export { unitTensorName } from "./onnx/own_graph.ts";
export { withOwnLayers } from "./onnx/own_layers.ts";
export { rotaryAngles } from "./onnx/rotary_angles.ts";
export { neededFiles, openModel } from "./open_model.ts";
export { digestOfPlan, parsePlanFile, planToJson } from "./plan_json.ts";
export {
  fromPublishedConfig,
  type PublishedConfig,
  publishedConfigToJson,
  toPublishedConfig,
} from "./published_config.ts";
export { packedEntries } from "./packed_entries.ts";
export { prunedTensors, type Refit, writePrunedModel } from "./pruned_model.ts";
export { earlierRopeKeys } from "./rope_scaling.ts";
export { dtypeOfQuantised } from "./quantised_weights.ts";
export { writeCheckpoint, writeWeights } from "./write_checkpoint.ts";
export { configOfLayers, plainConfig, writtenConfig } from "./written_config.ts";
export { isLong, ropeFactor, ropeFrequencies } from "./rope_frequencies.ts";
