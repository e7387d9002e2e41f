export { countParameters, headCostInBlocks, modelMacs, pruningRatio } from "./counts.ts";
export { sha256 } from "./digest.ts";
export { commonDivisor, commonMultiple } from "./divisors.ts";
export { type DType, DTYPE_BYTES, type FloatDType, isDType, isFloatDType } from "./dtype.ts";
export {
  BackendUnavailableError,
  CalibrationError,
  CheckpointFormatError,
  EvaluationError,
  ExportError,
  FolderBusyError,
  HubError,
  HubUnreachableError,
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
export {
  isSameKind,
  type LatencyCurve,
  latencyOf,
  type LatencyTable,
  type TimedKind,
  timedKind,
  timedUnits,
} from "./latency_table.ts";
export { mean, median } from "./averages.ts";
export {
  type Activation,
  areAlike,
  axisLength,
  type Block,
  blockId,
  type BlockSize,
  blocksLeft,
  type DeclaredWeight,
  denseShape,
  type Dimension,
  hasOutputProjection,
  haveWeight,
  indexOfPart,
  innerWidth,
  isExpertOutput,
  mainUnits,
  type NormPlacement,
  outputProjection,
  parametersOfBlock,
  type Shape,
  shapeOfWeight,
  sizeOf,
  unitAxis,
  unitIndices,
  weightShape,
  widestInner,
} from "./block.ts";
export { keptByOwner, ownedAxis, ownersOf, placesAlong, unitCount } from "./owners.ts";
export {
  afterChanges,
  allKept,
  type Candidate,
  type Change,
  groupOf,
  inTurns,
  type KeptByBlock,
  keptFirst,
  type KeptUnits,
  type Ranking,
  removalsOf,
  shapeOfKept,
  sourceRanking,
  withUnits,
} from "./change.ts";
export { groupSize, type Heads, headsOf } from "./heads.ts";
export {
  type Architecture,
  attentionWindow,
  blocksOfLayer,
  firstRope,
  fullyAttended,
  hasExperts,
  isUniform,
  keepLayers,
  layersWithBlocks,
  type OuterPart,
  type OuterScaling,
  resizedBlocks,
  ropeKey,
  ropesOf,
  withShape,
} from "./architecture.ts";
export type { Axis, UnitAxis } from "./axis.ts";
export type {
  Attention,
  LongRopeScaling,
  QueryGrowth,
  Rope,
  RopeScaling,
  YarnScaling,
} from "./attention.ts";
export type { Norm, NormKind } from "./norm.ts";
export {
  BEST_OF_GROUP,
  CORRECTION,
  fewestExperts,
  type Gating,
  type Routing,
  routingOf,
} from "./routing.ts";
export { planOf } from "./plan_of_changes.ts";
export { printable, printableJson, printableLine } from "./printable.ts";
export {
  densePlan,
  keptOf,
  type LayerPlan,
  planOfKept,
  prunedArchitecture,
  type PrunePlan,
} from "./prune_plan.ts";
export { parametersOf, reduction, type Resource } from "./resource.ts";
export { seal, sealLine, unseal, unsealLine } from "./seal.ts";
export { isSignificantFall } from "./significance.ts";
export { describeIssue, parseStrictJson } from "./strict_json.ts";
export { VERSION } from "./version.ts";
export { type InputKind, INPUTS, refusalOf } from "./input_kind.ts";
export type { StopSignal } from "./stop_signal.ts";
