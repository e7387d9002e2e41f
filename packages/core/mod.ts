export {
  attentionParameters,
  blockMacs,
  countParameters,
  headCostInBlocks,
  mlpParameters,
  modelMacs,
  type ParameterCounts,
  pruningRatio,
} from "./counts.ts";
export { sha256 } from "./digest.ts";
export { commonDivisor, commonMultiple } from "./divisors.ts";
export { type DType, DTYPE_BYTES, type FloatDType, isDType, isFloatDType } from "./dtype.ts";
export {
  BackendUnavailableError,
  CalibrationError,
  CheckpointFormatError,
  type CheckpointLocation,
  EvaluationError,
  ExportError,
  FolderBusyError,
  HubError,
  InsufficientMemoryError,
  LopperError,
  PlanError,
  ReadError,
  ResumeError,
  RunFolderError,
  SourceChangedError,
  UnreachableTargetError,
  UnsupportedModelError,
  UnsupportedOpError,
  UsageError,
  WriteError,
} from "./errors.ts";
export {
  formatBytes,
  formatChange,
  formatCount,
  formatMilliseconds,
  formatPerplexity,
  formatRatio,
  formatSeconds,
  plural,
  shown,
} from "./format.ts";
export { interpolation, type LatencyCurve, latencyOf, type LatencyTable } from "./latency_table.ts";
export { mean, median } from "./averages.ts";
export {
  type Axis,
  axisLength,
  type Block,
  type BlockSize,
  blocksLeft,
  type DeclaredWeight,
  denseShape,
  type Dimension,
  innerWidthOf,
  macsOfBlock,
  type NormPlacement,
  outputProjection,
  parametersOfBlock,
  type Shape,
  sizeOf,
  type UnitAxis,
  unitAxis,
  unitIndices,
  weightShape,
} from "./block.ts";
export { blocksOf } from "./blocks_of.ts";
export {
  afterChanges,
  allKept,
  type Candidate,
  type Change,
  type KeptByBlock,
  type KeptUnits,
  type Ranking,
  removalsOf,
  shapeOfKept,
  sourceRanking,
} from "./change.ts";
export { blockNumber, layersOfShape, refOf, shapeOfLayers } from "./layers_of_shape.ts";
export {
  type AttentionShape,
  attentionWindow,
  type AttentionWindows,
  type Biases,
  BLOCK_KINDS,
  blockAt,
  blockIndex,
  type BlockKind,
  type BlockRef,
  fullyAttended,
  groupSize,
  innerWidth,
  isUniform,
  keepLayers,
  type LayerSpec,
  layersWithBlocks,
  longestSequence,
  type MlpShape,
  type ModelSpec,
  replaceLayer,
  type RopeScaling,
  type RopeSpec,
  widestInner,
  windowsOf,
  withLayers,
} from "./model_spec.ts";
export { keptOfPlan, planOf } from "./plan_of_changes.ts";
export { printable, printableJson, printableLine } from "./printable.ts";
export {
  densePlan,
  keptOf,
  type LayerPlan,
  prunedLayers,
  prunedSpec,
  type PrunePlan,
} from "./prune_plan.ts";
export { parametersOf, reduction, type Resource } from "./resource.ts";
export { seal, sealLine, unseal, unsealLine, type WithChecksum } from "./seal.ts";
export { isSignificantFall } from "./significance.ts";
export { describeIssue, parseStrictJson } from "./strict_json.ts";
export { VERSION } from "./version.ts";
export { type InputKind, INPUTS, refusalOf } from "./input_kind.ts";
export type { StopSignal } from "./stop_signal.ts";
