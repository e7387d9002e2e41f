export { commandsOfRun } from "./commands.ts";
export { cardOfRun } from "./card_of_run.ts";
export { comparedFigures } from "./compared_figures.ts";
export type { Decision } from "./decision.ts";
export type { RunEvent } from "./events.ts";
export { fitsInMemory, keepsBatches, openFitting } from "./fitting_engines.ts";
export { type WeightRoom, weightRoom } from "./memory.ts";
export type { MemoryPart } from "./memory_parts.ts";
export { MemoryStore } from "./memory_store.ts";
export {
  BOOKS,
  calibrationOf,
  type CalibrationPart,
  MIX,
  SELF,
  USUAL_CALIBRATION,
} from "./options/calibration_part.ts";
export { heldOutName } from "./options/held_out_text.ts";
export { type GivenRunOptions, RUN_OPTIONS } from "./options/run_options.ts";
export { statedDefaults } from "./options/stated.ts";
export { ownTextLength, type OwnTexts, ownTexts, ownTextStart, SELF_TOKENS } from "./own_texts.ts";
export { type AppliedDecision, type PruneTask, type RunNames, type RunTools } from "./prepare.ts";
export { SETTINGS, type SettingsName } from "./presets.ts";
export { prune } from "./prune.ts";
export { type Rehearsal, rehearse } from "./rehearse.ts";
export { runFlags } from "./run_flags.ts";
export { RunJournal } from "./run_journal.ts";
export { type ExportFlags, exportOf, type RunFlags } from "./schemas/flags.ts";
export {
  type EarlyStop,
  type LatencyRecord,
  parseRunRecord,
  type Recovery,
  type RunRecord,
  runRecordToJson,
  type StageRanking,
} from "./schemas/record.ts";
export { checkSameSettings, journalHead } from "./schemas/same_settings.ts";
export { parseRunSettings, type RunSettings, settingsToJson } from "./schemas/settings.ts";
export { openWorker } from "./share_work.ts";
export { groupSizes, pickerOf, policyOf } from "./search_tools.ts";
export { PLAN_FILES, RECORD_FILE, type RunStore, STATE_FILES } from "./store.ts";
export { ratioForBytes } from "./target_bytes.ts";
export { latencyTable, ratioForLatency } from "./target_latency.ts";
export { cutTexts, type RunTexts, textNeeds, type TextSources } from "./texts.ts";
export { UnitRanker } from "./unit_ranker.ts";
export { type TextTokens, workload } from "./workload.ts";
