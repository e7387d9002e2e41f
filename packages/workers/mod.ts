/**
 * One scorer over many: sequences of a text are shared out to workers, in this process or on other
 * machines, each of which keeps block inputs of its own and answers with a number for each
 * candidate and sequence.
 */
export { InProcessQueue } from "./in_process_queue.ts";
export { ModelWorker } from "./model_work.ts";
export { sharedActivations } from "./shared_activations.ts";
export { SharedScorer } from "./shared_scorer.ts";
export { Work } from "./work.ts";
export { type JobWorker, type Named, WorkerGoneError, type WorkQueue } from "./work_queue.ts";
export {
  type Answer,
  nameOf,
  readWork,
  WorkError,
  type WorkSet,
  type WorkSetup,
  workText,
} from "./work_schema.ts";
