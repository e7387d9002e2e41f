export { DATA_SETS, dataFiles, type DataSet } from "./data_sets.ts";
export type { EncodedRequest, EncodeOptions, TokenRequest } from "./encode.ts";
export {
  type EvaluateOptions,
  evaluateTask,
  type PreparedTask,
  prepareTask,
  questionsDigest,
  type TaskResult,
} from "./evaluate_task.ts";
export { headline, type Metric, type Outcomes } from "./metrics.ts";
export {
  COMPARE_OPTIONS,
  DEFAULT_WINDOW,
  EVALUATE_OPTIONS,
  type EvaluationFlags,
  type MeasureFlags,
} from "./options.ts";
export { type Estimate, pairedDifference, perplexityRatio } from "./paired.ts";
export {
  joinedText,
  type PerplexityOptions,
  type SequenceScorer,
  textPerplexity,
  type TextResult,
  type TextWindows,
  textWindows,
} from "./perplexity.ts";
export type { Prediction, PrefixTree } from "./prefix_tree.ts";
export {
  type Progress,
  type QuestionScores,
  type RequestScore,
  RequestScorer,
  type RequestScorerOptions,
} from "./request_scorer.ts";
export {
  type DataRows,
  MAX_DATA_BYTES,
  MAX_ROWS_BYTES,
  readRows,
  type RowOptions,
} from "./rows.ts";
export { sequenceScorer } from "./sequence_scorer.ts";
export type {
  ChoiceQuestion,
  ClozeQuestion,
  MetricName,
  Question,
  Task,
  TextRequest,
} from "./task.ts";
export { OWN_TASK_FILE, TASK_GROUPS, taskNames, WIKITEXT } from "./task_names.ts";
export { PAPER_TASKS, TASKS } from "./tasks/mod.ts";
export { textDamage } from "./text_damage.ts";
export {
  type DenseAndPruned,
  denseAndPruned,
  type TextDamage,
  textDamageSchema,
} from "./text_damage_schema.ts";
export { OWN_TASK_FORMS, ownTask } from "./tasks/own.ts";
export * from "./evaluate_model.ts";
export * from "./measures.ts";
export * from "./model_evaluation.ts";
