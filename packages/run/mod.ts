export { commandsOfRun } from "./commands.ts";
export type { Decision } from "./decision.ts";
export type { PhaseName, RunEvent } from "./events.ts";
export { expandedWithin, type MemoryNeeds, type MemoryPart, planMemory } from "./memory.ts";
export { MemoryStore } from "./memory_store.ts";
export { ownTextLength, type OwnTexts, ownTexts, ownTextStart, SELF_TOKENS } from "./own_texts.ts";
export type { AppliedDecision, PruneTask, RunTools } from "./prepare.ts";
export { type CalibrationPart, SELF } from "./options/calibration_part.ts";
export { type GivenRunOptions, RUN_OPTIONS } from "./options/run_options.ts";
export { statedDefaults } from "./options/stated.ts";
export { type PresetSettings, SETTINGS, type SettingsName } from "./presets.ts";
export {
  type EarlyStop,
  type LatencyRecord,
  parseRunRecord,
  type Recovery,
  type RunRecord,
  runRecordToJson,
  type StageOrder,
} from "./schemas/record.ts";
export { type ExportFlags, exportOf, type RunFlags } from "./schemas/flags.ts";
export { checkSameSettings, journalHead } from "./schemas/same_settings.ts";
export { parseRunSettings, type RunSettings, settingsToJson } from "./schemas/settings.ts";
export { runFlags, type RunFlagsContext } from "./run_flags.ts";
export { prune, type Pruned } from "./prune.ts";
export { type DryRun, type Rehearsal, rehearse } from "./rehearse.ts";
export { groupSizes, policyOf } from "./search_tools.ts";
export { PLAN_FILES, type RunStore } from "./store.ts";
export { ratioForBytes } from "./target_bytes.ts";
export { latencyTable, ratioForLatency } from "./target_latency.ts";
export { cutTexts, type RunTexts, textNeeds, type TextSources } from "./texts.ts";
export { UnitRanker, type UnitRankerOptions } from "./unit_ranker.ts";
