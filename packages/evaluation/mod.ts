export { DATA_SETS, dataFiles } from "./data_sets.ts";
export type { TokenRequest } from "./encode.ts";
export { evaluateModel } from "./evaluate_model.ts";
export { evaluateTask, prepareTask } from "./evaluate_task.ts";
export {
  type AskedTask,
  BATCH_TOKENS,
  type Measures,
  type Measuring,
  type NamedText,
  type OpenedModel,
  type ScoreLog,
} from "./measures.ts";
export { headline, type Metric } from "./metrics.ts";
export type { MeasuredModel, ModelEvaluation, TaskEvaluation } from "./model_evaluation.ts";
export {
  COMPARE_OPTIONS,
  DEFAULT_WINDOW,
  EVALUATE_OPTIONS,
  type EvaluationFlags,
  type MeasureFlags,
} from "./options.ts";
export { type Estimate, pairedDifference, perplexityRatio } from "./paired.ts";
export { joinedText } from "./perplexity.ts";
export { type QuestionScores, type RequestScore, RequestScorer } from "./request_scorer.ts";
export {
  type DataRows,
  MAX_DATA_BYTES,
  MAX_ROWS_BYTES,
  readRows,
  type RowOptions,
} from "./rows.ts";
export type { MetricName } from "./task.ts";
export { OWN_TASK_FILE, taskNames, WIKITEXT } from "./task_names.ts";
export { PAPER_TASKS, TASKS } from "./tasks/mod.ts";
export { OWN_TASK_FORMS, ownTask } from "./tasks/own.ts";
export { lossIncrease, passagesByText } from "./loss_increase.ts";
export {
  type DenseAndPruned,
  denseAndPruned,
  type LossIncrease,
  lossIncreaseSchema,
} from "./loss_increase_schema.ts";
