/** What programs of others need: `import { prune } from "lopper"`. docs/library.md explains it. */
export {
  type Backend,
  type BackendName,
  type BackendOptions,
  openBackend,
  type OpenedBackend,
} from "@lopper/backends";
export { type Architecture, LopperError, type PrunePlan, VERSION } from "@lopper/core";
export { CALIBRATION_TEXTS } from "@lopper/calibration-texts";
export { CALIBRATION_TEXT, DEMO_MODEL, HELD_OUT_TEXT } from "@lopper/demo-model";
export { FileFolder, FileSource } from "@lopper/files";
export { listOf, type SampleList } from "@lopper/importance";
export { type Model, openGgufModel, openModel, openOnnxModel } from "@lopper/models";
export {
  cutTexts,
  MemoryStore,
  prune,
  type PruneTask,
  type RunEvent,
  type RunFlags,
  runFlags,
  type RunRecord,
  type RunStore,
  type RunTexts,
  type RunTools,
} from "@lopper/run";
export { Decoder, generate, type GenerateOptions, LaidOutWeights } from "@lopper/runtime";
export { openTokenizer, type Tokenizer } from "@lopper/tokenizers";
